"""Baselines, the modality Transformers, the fusions, and what all of them predict."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.models import baselines as baseline_models
from tiktok_virality.models.baselines import FittedBaseline
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.decision_fusion import DecisionFusion
from tiktok_virality.models.roles import role_of
from tiktok_virality.models.trained import ModelKind, TrainedModel
from tiktok_virality.training.corpus import ModelInput, assemble, pooled, together
from tiktok_virality.training.parameters import SplitStudyParameters, TrainingParameters
from tiktok_virality.training.split_study import StudiedClips, compare_splits


def assemble_clips(
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    target: TargetParameters,
    **embeddings: StageTable,
) -> ModelInput:
    """Bring together what the models may know of each clip, and what is true of it.

    Args:
        manifest: The clips.
        splits: In which split each is.
        target: What is predicted.
        **embeddings: Tokens of the clips, by modality.

    Raises:
        DataError: A split would be empty, or the manifest does not say what the target needs.
    """
    return assemble(manifest, splits, embeddings, target)


def fit_baselines(
    model_input: ModelInput, seed: int
) -> tuple[dict[str, FittedBaseline], dict[str, FittedBaseline]]:
    """Fit every baseline on the training and the validation split, and on the former alone.

    Nothing about a baseline is chosen on the validation split, so it may teach them, as it
    teaches the readout of every predictor. The constants stay those of the training split.

    Returns:
        The baselines; and the same taught by training clips alone, which speak of validation clips.
    """
    rehearsed, taught = (
        baseline_models.fit_baselines(
            pooled(clips, model_input.token_sizes), clips.log_views, clips.groups, seed
        )
        for clips in (model_input.splits["train"], model_input.open_clips)
    )
    constants = {name: each for name, each in rehearsed.items() if role_of(name) == "constant"}
    return taught | constants, rehearsed


def measure_split_sensitivity(
    model_input: ModelInput,
    manifest: pd.DataFrame,
    division: SplitParameters,
    study: SplitStudyParameters,
    seed: int,
) -> list[dict[str, Any]]:
    """Divide the same clips in every way, and say what quick models score under each.

    Returns:
        See `compare_splits`.
    """
    everything = reduce(together, model_input.splits.values())
    clips = StudiedClips(
        manifest=manifest.set_index("video_id").loc[list(everything.ids)].reset_index(),
        features=pooled(everything, model_input.token_sizes),
        truth=everything.log_views,
        groups=everything.groups,
    )
    return compare_splits(clips, division, study.models, study.redraws, seed)


def training_alone(kind: ModelKind, modality: str | None = None) -> Callable[..., TrainedModel]:
    """Return the node that trains a model from fresh weights.

    Args:
        kind: Which architecture.
        modality: The one that it reads; ``None``: all that take part.
    """

    def train(
        model_input: ModelInput,
        transformer: TransformerConfig,
        training: TrainingParameters,
        seed: int,
        device: str,
        checkpoints: Path,
    ) -> TrainedModel:
        """Train the model, or take what an earlier run has finished."""
        from tiktok_virality.training.lineup import Setting, train_model

        setting = Setting(seed=seed, device=device, checkpoints=checkpoints)
        return train_model(kind, model_input, transformer, training, setting, modality=modality)

    train.__name__ = f"train_{modality or kind}"
    return train


def train_ensemble(
    model_input: ModelInput,
    transformer: TransformerConfig,
    fine_tuning: TrainingParameters,
    seed: int,
    device: str,
    checkpoints: Path,
    **alone: TrainedModel,
) -> TrainedModel:
    """Train the late fusion end to end, from the modality models.

    Args:
        model_input: The clips.
        transformer: Shape of every Transformer.
        fine_tuning: How long and how fast.
        seed: Of dropout and the order of batches.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: Folder of all trainings.
        **alone: The modality models, by modality.
    """
    from tiktok_virality.training.lineup import Setting, train_model

    setting = Setting(seed=seed, device=device, checkpoints=checkpoints)
    return train_model("late_fusion", model_input, transformer, fine_tuning, setting, start=alone)


def fit_late_fusions(model_input: ModelInput, **alone: TrainedModel) -> dict[str, Any]:
    """Fit the fusions of the modality models' decisions: by mean, by gate, by stacking.

    Returns:
        Each as JSON, by name.
    """
    from tiktok_virality.training import lineup

    fusions = lineup.fit_late_fusions(model_input, alone)
    return {name: fusion.model_dump(mode="json") for name, fusion in fusions.items()}


def repeat_with_other_seeds(
    model_input: ModelInput,
    transformer: TransformerConfig,
    training: TrainingParameters,
    fine_tuning: TrainingParameters,
    repeats: int,
    seed: int,
    device: str,
    checkpoints: Path,
) -> pd.DataFrame:
    """Train all that a seed decides with the seeds after the main one, and let it predict.

    Returns:
        As `predict`, of the seeds ``seed`` + 1 to ``seed`` + ``repeats`` - 1; no rows for one
        repeat.
    """
    from tiktok_virality.training.lineup import Recipe, Setting, repeat

    recipe = Recipe(transformer=transformer, training=training, fine_tuning=fine_tuning)
    settings = [
        Setting(seed=seed + offset, device=device, checkpoints=checkpoints)
        for offset in range(1, repeats)
    ]
    return repeat(model_input, recipe, settings)


def predict(
    model_input: ModelInput,
    baselines: dict[str, FittedBaseline],
    rehearsed_baselines: dict[str, FittedBaseline],
    late_fusions: dict[str, Any],
    repeated_predictions: pd.DataFrame,
    seed: int,
    **models: TrainedModel,
) -> pd.DataFrame:
    """Let every model predict every clip of every split.

    Returns:
        ``video_id``, ``split``, ``model``, ``modality``, ``regime`` (what a model may know),
        ``seed``, ``y_true`` and ``y_pred`` (on the scale of the target): the rows of the main seed,
        then those of the repeats.
    """
    from tiktok_virality.training.lineup import predict_all

    fusions = {name: DecisionFusion.model_validate(value) for name, value in late_fusions.items()}
    of_main_seed = predict_all(
        model_input, baselines, rehearsed_baselines, list(models.values()), fusions, seed
    )
    return pd.concat([of_main_seed, repeated_predictions], ignore_index=True)
