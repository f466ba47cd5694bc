"""What a search may change, and how one choice is trained and predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from tiktok_virality.models.baseline_estimators import fit_boosting
from tiktok_virality.models.configs import BoostingConfig
from tiktok_virality.models.trained import ModelKind, ModelSpec, TrainedModel
from tiktok_virality.schema import Config
from tiktok_virality.training.corpus import pooled, together
from tiktok_virality.training.folds import Fold
from tiktok_virality.training.parameters import (
    BoostingSpace,
    EnsembleSettings,
    EnsembleSpace,
    Span,
    TrainingParameters,
)

if TYPE_CHECKING:
    from optuna import Trial

Settings = TypeVar("Settings", bound=Config)


class Candidate(Protocol[Settings]):
    """A model whose settings are searched."""

    @property
    def name(self) -> str:
        """What files, tables and MLflow call it."""
        ...

    @property
    def default(self) -> Settings:
        """The present settings, which every search tries first."""
        ...

    @property
    def space(self) -> Config:
        """Where the search looks."""
        ...

    def suggest(self, trial: Trial) -> Settings:
        """Let a trial choose settings within the space."""
        ...

    def predict(self, settings: Settings, fold: Fold, seed: int) -> np.ndarray:
        """Train on a fold, and predict its held-out clips, float64 [N]."""
        ...


@dataclass(frozen=True, kw_only=True)
class EnsembleCandidate:
    """The late-fusion ensemble: the modality models, then the fusion that begins from them.

    Attributes:
        default: The present settings; what the space does not name stays as here.
        space: Where the search looks.
        token_sizes: Size of a token by modality.
        device: ``auto``, ``cpu`` or ``cuda``.
        token_parts: What numbers of a token belong together, by modality.
    """

    default: EnsembleSettings
    space: EnsembleSpace
    token_sizes: Mapping[str, int]
    device: str
    token_parts: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    name: str = "ensemble"

    def suggest(self, trial: Trial) -> EnsembleSettings:
        """Choose shapes, rates and sizes of steps; epochs and patience stay."""
        space, now = self.space, self.default
        width = trial.suggest_categorical("width", space.width)
        transformer = {
            "width": width,
            "layers": trial.suggest_categorical("layers", space.layers),
            "heads": trial.suggest_categorical("heads", space.heads),
            "feedforward": width * trial.suggest_categorical("feedforward", space.feedforward),
            "dropout": _between(trial, "dropout", space.dropout),
        }
        steps = {
            "batch_size": trial.suggest_categorical("batch_size", space.batch_size),
            "weight_decay": _between(trial, "weight_decay", space.weight_decay),
        }
        training = {"learning_rate": _between(trial, "learning_rate", space.learning_rate)}
        tuning = {"learning_rate": _between(trial, "fine_tuning_rate", space.fine_tuning_rate)}
        return EnsembleSettings.model_validate(
            {
                "transformer": {**now.transformer.model_dump(), **transformer},
                "training": {**now.training.model_dump(), **steps, **training},
                "fine_tuning": {**now.fine_tuning.model_dump(), **steps, **tuning},
            }
        )

    def predict(self, settings: EnsembleSettings, fold: Fold, seed: int) -> np.ndarray:
        """Train the modality models and the fusion, and predict the held-out clips."""
        from tiktok_virality.training.predicting import predict_log_views

        with TemporaryDirectory(prefix="tuning-") as folder:
            alone = {
                name: self._train("modality", {name: size}, settings, fold, seed, Path(folder))
                for name, size in self.token_sizes.items()
            }
            ensemble = self._train(
                "late_fusion", self.token_sizes, settings, fold, seed, Path(folder), alone
            )
        return predict_log_views(ensemble, fold.held_out.tokens)

    def _train(
        self,
        kind: ModelKind,
        token_sizes: Mapping[str, int],
        settings: EnsembleSettings,
        fold: Fold,
        seed: int,
        folder: Path,
        start: Mapping[str, TrainedModel] | None = None,
    ) -> TrainedModel:
        from tiktok_virality.training.launcher import TrainingRun
        from tiktok_virality.training.predictors import train_predictor

        spec = ModelSpec(kind=kind, transformer=settings.transformer, token_sizes=dict(token_sizes))
        parameters: TrainingParameters = settings.fine_tuning if start else settings.training
        run = TrainingRun.of(
            spec.name, [], checkpoints=folder, seed=seed, device=self.device, quiet=True
        )
        return train_predictor(spec, fold.train, fold.stopping, parameters, run, start)


@dataclass(frozen=True, kw_only=True)
class BoostingCandidate:
    """Gradient boosting on the pooled tokens of all modalities.

    It learns from the same clips as the readout of the ensemble, among them those that told the
    Transformer when to stop.

    Attributes:
        default: The present settings.
        space: Where the search looks.
        token_sizes: Size of a token by modality.
    """

    default: BoostingConfig
    space: BoostingSpace
    token_sizes: Mapping[str, int]
    name: str = "gradient_boosting"

    def suggest(self, trial: Trial) -> BoostingConfig:
        """Choose the size of trees, their number and weight, and what they read."""
        space = self.space
        chosen: dict[str, Any] = {
            name: trial.suggest_categorical(name, getattr(space, name))
            for name in ("components", "max_iter", "max_leaf_nodes", "min_samples_leaf")
        }
        for name in ("learning_rate", "l2_regularization"):
            chosen[name] = _between(trial, name, getattr(space, name))
        return BoostingConfig.model_validate(chosen)

    def predict(self, settings: BoostingConfig, fold: Fold, seed: int) -> np.ndarray:
        """Fit the trees, and predict the held-out clips; nothing about them is random."""
        read = tuple(self.token_sizes)
        clips = together(fold.train, fold.stopping)
        known, held_out = (pooled(each, self.token_sizes) for each in (clips, fold.held_out))
        model = fit_boosting(
            known.features(read),
            clips.log_views,
            clips.groups,
            known.modality_columns(read),
            settings,
        )
        return np.asarray(model.predict(held_out.features(read)), dtype=np.float64)


def _between(trial: Trial, name: str, span: Span) -> float:
    return trial.suggest_float(name, span.low, span.high, log=span.log)
