"""A JSON file that may not be there."""

from __future__ import annotations

import json
from typing import Any

from kedro_datasets.json import JSONDataset

from tiktok_virality.datasets.dataset_places import place_of
from tiktok_virality.datasets.forgetting import Forgotten, without
from tiktok_virality.datasets.part_files import write_bytes_atomically


class OptionalJSON(JSONDataset):
    """A JSON file; loading one that does not exist gives ``None``."""

    def load(self) -> Any:
        """Read the file, or return ``None``."""
        return super().load() if self.exists() else None

    def forget(self, names: Forgotten, *, dry_run: bool = False) -> int:
        """Remove what is filed under the name of a video, and the names elsewhere."""
        content = self.load()
        kept, removed = without(content, names)
        if kept != content and not dry_run:
            text = json.dumps(kept, **self._save_args)
            place = place_of(self)
            assert place is not None
            write_bytes_atomically(place, text.encode())
        return removed
