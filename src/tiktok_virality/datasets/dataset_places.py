"""Where a dataset is kept, whoever wrote its class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tiktok_virality.storage import ObjectPath, Place
from tiktok_virality.storage.file_system import ObjectFileSystem


def place_of(dataset: AbstractDataset[Any, Any]) -> Place | None:
    """Return the file or folder of a dataset; ``None`` of one that has none."""
    place = getattr(dataset, "_filepath", None) or getattr(dataset, "_folder", None)
    if place is None or isinstance(place, Path | ObjectPath):
        return place
    files = getattr(dataset, "_fs", None)
    return files.place(str(place)) if isinstance(files, ObjectFileSystem) else Path(str(place))
