"""Trained models as folders of open formats: safetensors, skops and JSON; no pickle."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from kedro.io import AbstractDataset, DatasetError

from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.schema import DamageError
from tiktok_virality.storage import Place, forget_copies, made_for, near_folder, place_at

if TYPE_CHECKING:
    from tiktok_virality.models.baselines import FittedBaseline
    from tiktok_virality.models.trained import TrainedModel

SEAL_NAME: Final = ".checksums.json"
"""CRC-32 of each file beside it; of none while they are being written."""


class ModelFolder(AbstractDataset[Any, Any]):
    """A folder of what was learned; it cannot forget a clip, only be made again without it.

    Args:
        filepath: The folder.
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
        self._folder = place_at(filepath, credentials)
        self.metadata = metadata

    @property
    def folder(self) -> Place:
        """Where it is."""
        return self._folder

    def _exists(self) -> bool:
        return self._folder.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


class SealedFolder(ModelFolder):
    """A folder whose files are compared with what was written before any of them is read."""

    @contextmanager
    def sealing(self) -> Iterator[Path]:
        """Give a folder to write files into, and note at last what they are.

        Until then the folder is not whole. For one in a bucket they are written here, and put there
        when all of them are.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with made_for(self._folder) as made:
            self._note({})
            yield made
            checksums = {path.name: _checksum(path) for path in _files(made)}
        self._note(checksums)

    def check(self) -> Path:
        """Compare the files; a folder of an earlier version has nothing to compare with.

        Returns:
            Where they are on this machine.

        Raises:
            DamageError: They are not what was written.
        """
        folder = near_folder(self._folder)
        seal = folder / SEAL_NAME
        if not seal.exists():
            return folder
        try:
            noted = json.loads(seal.read_bytes())
        except ValueError:
            noted = {}
        there = {path.name: _checksum(path) for path in _files(folder)}
        if not noted or there != noted:
            forget_copies(self._folder)
            wrong = sorted({name for name, _ in there.items() ^ noted.items()} or {SEAL_NAME})
            raise DamageError(
                f"{self._folder} is damaged: {', '.join(wrong)} is not what was written, or not "
                "all of it was. `kedro run` writes it again, from the checkpoints of its training."
            )
        return folder

    def _note(self, checksums: Mapping[str, int]) -> None:
        write_bytes_atomically(self._folder / SEAL_NAME, json.dumps(checksums).encode())


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.name[0] != "."]


def _checksum(path: Path) -> int:
    return zlib.crc32(path.read_bytes())


class SafetensorsModel(SealedFolder):
    """A trained torch model: weights as safetensors, configuration and history as JSON."""

    def save(self, data: TrainedModel) -> None:
        """Write the model."""
        from tiktok_virality.models.trained import save_trained

        with self.sealing() as folder:
            save_trained(data, folder)

    def load(self) -> TrainedModel:
        """Read the model, on the CPU."""
        from tiktok_virality.models.trained import load_trained

        return load_trained(self.check())


class SkopsBaselines(SealedFolder):
    """The fitted baselines by name: estimators as skops, the rest as JSON."""

    def save(self, data: Mapping[str, FittedBaseline]) -> None:
        """Write every baseline."""
        from tiktok_virality.models.baselines import save_baselines

        with self.sealing() as folder:
            save_baselines(data, folder)

    def load(self) -> dict[str, FittedBaseline]:
        """Read every baseline."""
        from tiktok_virality.models.baselines import load_baselines

        return load_baselines(self.check())


class CheckpointFolder(ModelFolder):
    """Where training keeps its checkpoints: loading gives the folder, made when missing."""

    def load(self) -> Place:
        """Return the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def save(self, data: Any) -> NoReturn:
        """Refuse: training writes its checkpoints itself."""
        raise DatasetError("Checkpoints are written by training; no node returns them.")

    def _exists(self) -> bool:
        return True
