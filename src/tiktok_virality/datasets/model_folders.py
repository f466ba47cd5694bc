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

if TYPE_CHECKING:
    from tiktok_virality.models.baselines import FittedBaseline
    from tiktok_virality.models.trained import TrainedModel

SEAL_NAME: Final = ".checksums.json"
"""CRC-32 of each file beside it; of none while they are being written."""


class ModelFolder(AbstractDataset[Any, Any]):
    """A folder of what was learned; it cannot forget a clip, only be made again without it.

    Args:
        filepath: The folder.
        metadata: For Kedro plugins.
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._folder = Path(filepath)
        self.metadata = metadata

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self._folder

    def _exists(self) -> bool:
        return self._folder.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


class SealedFolder(ModelFolder):
    """A folder whose files are compared with what was written before any of them is read."""

    @contextmanager
    def sealing(self) -> Iterator[None]:
        """Write files, and note at last what they are; until then the folder is not whole."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._note({})
        yield
        self._note({path.name: _checksum(path) for path in self._files()})

    def check(self) -> None:
        """Compare the files; a folder of an earlier version has nothing to compare with.

        Raises:
            DamageError: They are not what was written.
        """
        seal = self._folder / SEAL_NAME
        if not seal.exists():
            return
        try:
            noted = json.loads(seal.read_bytes())
        except ValueError:
            noted = {}
        there = {path.name: _checksum(path) for path in self._files()}
        if not noted or there != noted:
            wrong = sorted({name for name, _ in there.items() ^ noted.items()} or {SEAL_NAME})
            raise DamageError(
                f"{self._folder} is damaged: {', '.join(wrong)} is not what was written, or not "
                "all of it was. `kedro run` writes it again, from the checkpoints of its training."
            )

    def _files(self) -> list[Path]:
        return [path for path in sorted(self._folder.iterdir()) if path.name[0] != "."]

    def _note(self, checksums: Mapping[str, int]) -> None:
        write_bytes_atomically(self._folder / SEAL_NAME, json.dumps(checksums).encode())


def _checksum(path: Path) -> int:
    return zlib.crc32(path.read_bytes())


class SafetensorsModel(SealedFolder):
    """A trained torch model: weights as safetensors, configuration and history as JSON."""

    def save(self, data: TrainedModel) -> None:
        """Write the model."""
        from tiktok_virality.models.trained import save_trained

        with self.sealing():
            save_trained(data, self._folder)

    def load(self) -> TrainedModel:
        """Read the model, on the CPU."""
        from tiktok_virality.models.trained import load_trained

        self.check()
        return load_trained(self._folder)


class SkopsBaselines(SealedFolder):
    """The fitted baselines by name: estimators as skops, the rest as JSON."""

    def save(self, data: Mapping[str, FittedBaseline]) -> None:
        """Write every baseline."""
        from tiktok_virality.models.baselines import save_baselines

        with self.sealing():
            save_baselines(data, self._folder)

    def load(self) -> dict[str, FittedBaseline]:
        """Read every baseline."""
        from tiktok_virality.models.baselines import load_baselines

        self.check()
        return load_baselines(self._folder)


class CheckpointFolder(ModelFolder):
    """Where training keeps its checkpoints: loading gives the folder, made when missing."""

    def load(self) -> Path:
        """Return the folder."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder

    def save(self, data: Any) -> NoReturn:
        """Refuse: training writes its checkpoints itself."""
        raise DatasetError("Checkpoints are written by training; no node returns them.")

    def _exists(self) -> bool:
        return True
