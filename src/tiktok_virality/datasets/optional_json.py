"""A JSON file that may not be there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kedro_datasets.json import JSONDataset

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
            write_bytes_atomically(Path(str(self._filepath)), text.encode())
        return removed
