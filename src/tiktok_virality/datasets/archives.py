"""Named arrays in one file."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from kedro.io import AbstractDataset

from tiktok_virality.datasets.forgetting import KEY, Forgotten
from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.schema import DamageError
from tiktok_virality.storage import near, place_at


class ArrayArchive(AbstractDataset[Mapping[str, Any], dict[str, np.ndarray]]):
    """A mapping of names to arrays as one compressed npz file, without pickled objects.

    Args:
        filepath: The file, ending in ``.npz``.
        credentials: Of a place in a bucket; see `storage`.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath = place_at(filepath, credentials)
        self.metadata = metadata

    def save(self, data: Mapping[str, Any]) -> None:
        """Write all arrays at once."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: np.asarray(value) for name, value in data.items()}
        np.savez_compressed(buffer, **arrays)
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(self._filepath, buffer.getvalue())

    def load(self) -> dict[str, np.ndarray]:
        """Read all arrays.

        Raises:
            DamageError: One is not what was written; the format has a checksum of each.
        """
        try:
            with np.load(near(self._filepath), allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError) as error:
            raise DamageError(
                f"{self._filepath} is damaged: {error}. `kedro run` makes it again."
            ) from error

    def forget(self, names: Forgotten, *, dry_run: bool = False) -> int:
        """Remove the rows of videos, where an array says whose they are.

        ``video_id`` speaks for every array of as many rows, ``video_id/PART`` for those of them
        whose name ends in ``/PART``.

        Returns:
            How many videos have lost rows.
        """
        arrays = self.load() if self._exists() else {}
        found: set[str] = set()
        for key in [name for name in arrays if name.partition("/")[0] == KEY]:
            ids = arrays[key].astype(str)
            gone = np.array([each in names for each in ids.tolist()], dtype=bool)
            found.update(ids[gone].tolist())
            arrays |= {
                name: rows[~gone]
                for name, rows in arrays.items()
                if name.endswith(key.removeprefix(KEY)) and len(np.atleast_1d(rows)) == len(gone)
            }
        if found and not dry_run:
            self.save(arrays)
        return len(found)

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
