"""Every model of the leaderboard: how one is trained under a seed, and what all of them predict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from tiktok_virality.modalities import EVERYTHING, PUBLISHED, PUBLISHED_TABLES
from tiktok_virality.models.baselines import SEEDED, FittedBaseline
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.decision_fusion import DecisionFusion, Decisions, fit_fusions
from tiktok_virality.models.roles import regime_of
from tiktok_virality.models.trained import ModelKind, ModelSpec, TrainedModel
from tiktok_virality.schema import Split
from tiktok_virality.storage import Place
from tiktok_virality.tracking import untracked
from tiktok_virality.training.baselines import fit_and_rehearse
from tiktok_virality.training.corpus import ClipTokens, ModelInput, pooled
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.parameters import TrainingParameters
from tiktok_virality.training.predicting import predict_log_views, rehearse_log_views
from tiktok_virality.training.predictors import train_predictor

Ask = Callable[[TrainedModel, Sequence[ClipTokens]], np.ndarray]
"""`predict_log_views`, or of validation clips `rehearse_log_views`."""

SMALLEST_DEVIATION: Final = 1e-6
COLUMNS: Final[Mapping[str, str]] = {
    "video_id": "str",
    "split": "str",
    "model": "str",
    "modality": "str",
    "regime": "str",
    "seed": "int64",
    "y_true": "float64",
    "y_pred": "float64",
}
"""Of a table of predictions, with their types."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where, on what and under which seed a model is trained.

    Attributes:
        seed: Of weights, dropout and the order of batches.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: Folder of all trainings.
        quiet: Neither print the epochs nor tell MLflow of them: one of hundreds of trainings.
    """

    seed: int
    device: str
    checkpoints: Place
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How the Transformers are trained.

    Attributes:
        transformer: Shape of every Transformer.
        training: How each is trained alone.
        fine_tuning: How the ensemble goes on from the modality models.
    """

    transformer: TransformerConfig
    training: TrainingParameters
    fine_tuning: TrainingParameters

    @property
    def in_one_process(self) -> Recipe:
        """The same, for many trainings at once."""
        return replace(
            self,
            training=self.training.in_one_process,
            fine_tuning=self.fine_tuning.in_one_process,
        )


class Predicted(NamedTuple):
    """What one model says of the clips of one split: its name, what it knows, [N] predictions."""

    model: str
    modality: str
    y_pred: np.ndarray


def train_model(
    kind: ModelKind,
    model_input: ModelInput,
    transformer: TransformerConfig,
    training: TrainingParameters,
    setting: Setting,
    *,
    modality: str | None = None,
    start: Mapping[str, TrainedModel] | None = None,
) -> TrainedModel:
    """Train one model, or take what an earlier run has finished.

    Args:
        kind: Which architecture.
        model_input: Of which the training and the validation split are read.
        transformer: Its shape.
        training: How long and how fast.
        setting: Where, on what and under which seed.
        modality: The one that it reads; ``None``: all that take part.
        start: Trained modality models, by modality, that the late fusion begins from.
    """
    sizes = model_input.token_sizes
    read = sizes if modality is None else {modality: sizes[modality]}
    parts = {name: each for name, each in model_input.token_parts.items() if name in read}
    spec = ModelSpec(
        kind=kind,
        transformer=transformer,
        token_sizes=read,
        token_parts=parts,
        token_counts=model_input.token_counts if kind == PUBLISHED else {},
    )
    run = TrainingRun.of(
        model_input.name_of(spec.name),
        [
            model_input.fingerprint,
            spec.model_dump(mode="json"),
            training.model_dump(mode="json"),
            {modality: model.digest for modality, model in (start or {}).items()},
        ],
        checkpoints=setting.checkpoints,
        seed=setting.seed,
        device=setting.device,
        quiet=setting.quiet,
    )
    train, validation = model_input.splits["train"], model_input.splits["validation"]
    scaled_by = model_input.splits[model_input.scaled_by]
    return train_predictor(spec, train, validation, training, run, start, scaled_by=scaled_by)


def fit_late_fusions(
    model_input: ModelInput, alone: Mapping[str, TrainedModel]
) -> dict[str, DecisionFusion]:
    """Fit the fusions of decisions on the validation split, which taught none of them.

    Args:
        model_input: The clips.
        alone: The modality models, by modality.
    """
    validation, truth = model_input.splits["validation"], model_input.splits["train"].log_views
    return fit_fusions(
        decide(validation.tokens, alone, rehearse_log_views),
        validation.log_views,
        validation.groups.astype(str),
        mean=float(truth.mean()),
        deviation=max(float(truth.std()), SMALLEST_DEVIATION),
    )


def decide(clips: Sequence[ClipTokens], alone: Mapping[str, TrainedModel], ask: Ask) -> Decisions:
    """Let the modality models decide each clip."""
    return Decisions(
        values=np.stack([ask(model, clips) for model in alone.values()], axis=1),
        present=np.array([[name in clip.tokens for name in alone] for clip in clips]).reshape(
            -1, len(alone)
        ),
    )


def predict_all(
    model_input: ModelInput,
    baselines: Mapping[str, FittedBaseline],
    rehearsed_baselines: Mapping[str, FittedBaseline],
    models: Sequence[TrainedModel],
    fusions: Mapping[str, DecisionFusion],
    seed: int,
) -> pd.DataFrame:
    """Let models predict every clip of every split.

    Validation clips are predicted by the models as they were before these clips taught them.

    Args:
        model_input: The clips.
        baselines: By name.
        rehearsed_baselines: The same, taught by the training clips alone.
        models: The trained models; the fusions read those of one modality.
        fusions: Of decisions, by name.
        seed: Under which all of them were trained.

    Returns:
        The `COLUMNS`, a row per clip and model.
    """
    tables = []
    for split, clips in model_input.splits.items():
        is_known = split == "validation"
        ask = rehearse_log_views if is_known else predict_log_views
        for name, modality, y_pred in [
            *_baselines_say(model_input, split, rehearsed_baselines if is_known else baselines),
            *_models_say(clips.tokens, models, fusions, ask),
        ]:
            table = pd.DataFrame({"video_id": clips.ids, "y_true": clips.log_views})
            tables.append(
                table.assign(
                    split=split,
                    model=name,
                    modality=modality,
                    regime=regime_of(name),
                    seed=seed,
                    y_pred=y_pred,
                )[list(COLUMNS)]
            )
    return pd.concat(tables, ignore_index=True)


def no_predictions() -> pd.DataFrame:
    """Return a table of predictions without rows."""
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in COLUMNS.items()})


def train_all(
    model_input: ModelInput, recipe: Recipe, setting: Setting, *, with_baselines: bool
) -> pd.DataFrame:
    """Train every model, and let it predict.

    MLflow hears nothing of it: its models are those of the main seed.

    Args:
        model_input: The clips.
        recipe: How the Transformers are trained.
        setting: Where, on what and under which seed.
        with_baselines: Train those in which nothing is random, too.

    Returns:
        As `predict_all`.
    """
    names = None if with_baselines else SEEDED
    with untracked():
        alone, ensemble = train_late_fusion(setting, model_input, recipe)
        early_fusion = train_model(
            "early_fusion", model_input, recipe.transformer, recipe.training, setting
        )
        return predict_all(
            model_input,
            *fit_and_rehearse(model_input, setting.seed, names),
            [*alone.values(), early_fusion, ensemble],
            fit_late_fusions(model_input, alone),
            setting.seed,
        )


def train_late_fusion(
    setting: Setting, model_input: ModelInput, recipe: Recipe
) -> tuple[dict[str, TrainedModel], TrainedModel]:
    """Train the modality models, and from them the ensemble."""
    shape = recipe.transformer
    alone = {
        name: train_model("modality", model_input, shape, recipe.training, setting, modality=name)
        for name in model_input.modalities
    }
    return alone, train_model(
        "late_fusion", model_input, shape, recipe.fine_tuning, setting, start=alone
    )


def train_published(
    model_input: ModelInput, recipe: Recipe, setting: Setting
) -> list[TrainedModel]:
    """Train both published Transformers alone, then the published ensemble from fresh weights."""
    return [
        train_model(
            PUBLISHED, model_input, recipe.transformer, recipe.training, setting, modality=table
        )
        for table in (*PUBLISHED_TABLES, None)
    ]


def train_published_again(
    model_input: ModelInput, recipe: Recipe, setting: Setting
) -> pd.DataFrame:
    """Train the published models, and let them predict, as `train_all` does."""
    with untracked():
        models = train_published(model_input, recipe, setting)
        return predict_all(model_input, {}, {}, models, {}, setting.seed)


def _baselines_say(
    model_input: ModelInput, split: Split, baselines: Mapping[str, FittedBaseline]
) -> Iterator[Predicted]:
    known = pooled(model_input.splits[split], model_input.token_sizes)
    for name, baseline in baselines.items():
        yield Predicted(name, baseline.modality, baseline.predict(known))


def _models_say(
    clips: Sequence[ClipTokens],
    models: Sequence[TrainedModel],
    fusions: Mapping[str, DecisionFusion],
    ask: Ask,
) -> Iterator[Predicted]:
    for model in models:
        yield Predicted(model.name, model.modality, ask(model, clips))
    if fusions:
        alone = {model.modality: model for model in models if model.spec.kind == "modality"}
        decisions = decide(clips, alone, ask)
        for name, fusion in fusions.items():
            yield Predicted(name, EVERYTHING, fusion.predict(decisions))
