"""Where a dataset is kept, whoever wrote its class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from tiktok_virality.storage import ObjectPath, Place
from tiktok_virality.storage.file_system import ObjectFileSystem


def place_of(dataset: AbstractDataset[Any, Any]) -> Place | None:
    """Return the file or folder of a dataset; ``None`` of one that has none, or elsewhere."""
    place = getattr(dataset, "_filepath", None) or getattr(dataset, "_folder", None)
    if place is None or isinstance(place, Path | ObjectPath):
        return place
    files = getattr(dataset, "_fs", None)
    if isinstance(files, ObjectFileSystem):
        return files.place(str(place))
    is_elsewhere = getattr(dataset, "_protocol", "file") != "file"  # another store, or memory
    return None if is_elsewhere else Path(str(place))
