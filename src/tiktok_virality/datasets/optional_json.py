"""A JSON file that may not be there."""

from __future__ import annotations

from typing import Any

from kedro_datasets.json import JSONDataset


class OptionalJSON(JSONDataset):
    """A JSON file; loading one that does not exist gives ``None``."""

    def load(self) -> Any:
        """Read the file, or return ``None``."""
        return super().load() if self.exists() else None
