"""Named arrays in one file."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset

from tiktok_virality.datasets.forgetting import KEY, Forgotten
from tiktok_virality.datasets.part_files import write_bytes_atomically


class ArrayArchive(AbstractDataset[Mapping[str, Any], dict[str, np.ndarray]]):
    """A mapping of names to arrays as one compressed npz file, without pickled objects.

    Args:
        filepath: The file, ending in ``.npz``.
        metadata: For Kedro plugins.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def save(self, data: Mapping[str, Any]) -> None:
        """Write all arrays at once."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in data.items()}
        np.savez_compressed(buffer, **arrays)
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(self._filepath, buffer.getvalue())

    def load(self) -> dict[str, np.ndarray]:
        """Read all arrays."""
        with np.load(self._filepath, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    def forget(self, names: Forgotten, *, dry_run: bool = False) -> int:
        """Remove the rows of videos, if an array ``video_id`` says whose they are."""
        arrays = self.load() if self._exists() else {}
        gone = np.array([str(key) in names for key in arrays.get(KEY, ())], dtype=bool)
        if gone.any() and not dry_run:
            rows = {name: len(gone) == len(np.atleast_1d(each)) for name, each in arrays.items()}
            self.save({name: each[~gone] if rows[name] else each for name, each in arrays.items()})
        return int(gone.sum())

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
