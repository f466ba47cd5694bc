"""Trained models as folders of open formats: safetensors, skops and JSON; no pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io import AbstractDataset, DatasetError

if TYPE_CHECKING:
    from tiktok_virality.models.baselines import FittedBaseline
    from tiktok_virality.models.trained import TrainedModel


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


class SafetensorsModel(ModelFolder):
    """A trained torch model: weights as safetensors, configuration and history as JSON."""

    def save(self, data: TrainedModel) -> None:
        """Write the model."""
        from tiktok_virality.models.trained import save_trained

        save_trained(data, self._folder)

    def load(self) -> TrainedModel:
        """Read the model, on the CPU."""
        from tiktok_virality.models.trained import load_trained

        return load_trained(self._folder)


class SkopsBaselines(ModelFolder):
    """The fitted baselines by name: estimators as skops, the rest as JSON."""

    def save(self, data: Mapping[str, FittedBaseline]) -> None:
        """Write every baseline."""
        from tiktok_virality.models.baselines import save_baselines

        save_baselines(data, self._folder)

    def load(self) -> dict[str, FittedBaseline]:
        """Read every baseline."""
        from tiktok_virality.models.baselines import load_baselines

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
