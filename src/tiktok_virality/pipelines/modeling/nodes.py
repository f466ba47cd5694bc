"""Baselines, the modality Transformers, the fusions, and what all of them predict."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.models.baselines import FittedBaseline
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.decision_fusion import DecisionFusion
from tiktok_virality.models.trained import ModelKind, TrainedModel
from tiktok_virality.storage import Place
from tiktok_virality.training.baselines import fit_and_rehearse
from tiktok_virality.training.corpus import ModelInput, assemble_all, pooled, together
from tiktok_virality.training.cross_fitting import Training
from tiktok_virality.training.parameters import SplitStudyParameters, TrainingParameters
from tiktok_virality.training.split_study import StudiedClips, compare_splits


def assemble_clips(
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    target: TargetParameters,
    memory_gb: float = math.inf,
    **embeddings: StageTable,
) -> tuple[ModelInput, list[ModelInput]]:
    """Bring together what the models may know of each clip, and what is true of it.

    Args:
        manifest: The clips.
        splits: In which split each is, and in which fold where every clip is tested.
        target: What is predicted.
        memory_gb: Most memory for tokens; beyond it they are read as batches are made.
        **embeddings: Tokens of the clips, by modality.

    Returns:
        What the models learn from that are served; and the divisions that test clips, one a fold,
        or the former where one split is held out.

    Raises:
        DataError: A split would be empty, or the manifest does not say what the target needs.
    """
    return assemble_all(manifest, splits, embeddings, target, memory_gb)


def fit_baselines(
    model_input: ModelInput, seed: int
) -> tuple[dict[str, FittedBaseline], dict[str, FittedBaseline]]:
    """Fit every baseline, and again as it is before validation clips teach it.

    Returns:
        See `fit_and_rehearse`.
    """
    return fit_and_rehearse(model_input, seed)


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
        checkpoints: Place,
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
    checkpoints: Place,
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


def train_again(
    divisions: list[ModelInput],
    model_input: ModelInput,
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    target: TargetParameters,
    transformer: TransformerConfig,
    training: TrainingParameters,
    fine_tuning: TrainingParameters,
    repeats: int,
    seed: int,
    device: str,
    checkpoints: Place,
    memory_gb: float = math.inf,
    **embeddings: StageTable,
) -> StagePlan:
    """Plan to train every model for each fold, and all that a seed decides under other seeds.

    Where one split is held out, the models that are served are tested: only other seeds are left.
    """
    from tiktok_virality.models.precision import has_gpu
    from tiktok_virality.training.cross_fitting import DivisionTrainer, training_item
    from tiktok_virality.training.lineup import Recipe

    trainings = trainings_of(divisions, repeats, seed)
    alone = has_gpu(device) or len(trainings) == 1
    recipe = Recipe(transformer=transformer, training=training, fine_tuning=fine_tuning)
    return StagePlan(
        items=[training_item(each, divisions) for each in trainings],
        transform=DivisionTrainer(
            manifest=manifest,
            splits=splits,
            tables=embeddings,
            target=target,
            recipe=recipe if alone and training.engine.type == "local" else recipe.in_one_process,
            device=device,
            checkpoints=checkpoints,
            label=model_input.label,
            one_core=not alone,
            memory_gb=memory_gb,
        ),
        batch_size=1,
        resources=Resources(in_process=alone, limited=False),
    )


def gather_predictions(
    trained_again: StageTable, divisions: list[ModelInput], repeats: int, seed: int
) -> pd.DataFrame:
    """Return what the models predicted that were trained for each fold or under other seeds.

    Returns:
        As `predict`; no rows for one split that is held out under one seed.
    """
    from tiktok_virality.training.cross_fitting import read_predictions

    return read_predictions(trained_again, trainings_of(divisions, repeats, seed), divisions)


def trainings_of(divisions: Sequence[ModelInput], repeats: int, seed: int) -> list[Training]:
    """Return the trainings besides those of the models that are served, the main seed first."""
    is_tested = len(divisions) == 1  # the served models are, in the main division
    return [
        Training(division=number, seed=each, with_baselines=each == seed)
        for each in range(seed + is_tested, seed + repeats)
        for number in range(len(divisions))
    ]


def predict(
    model_input: ModelInput,
    baselines: dict[str, FittedBaseline],
    rehearsed_baselines: dict[str, FittedBaseline],
    late_fusions: dict[str, Any],
    repeated_predictions: pd.DataFrame,
    seed: int,
    published_predictions: pd.DataFrame | None = None,
    **models: TrainedModel,
) -> pd.DataFrame:
    """Let every model predict every clip that it may be measured on.

    Where every clip is tested, that is what the models of its folds predicted: those that are
    served have learned from it. Where the published models take part, theirs are added.

    Returns:
        ``video_id``, ``split``, ``model``, ``modality``, ``regime`` (what a model may know),
        ``seed``, ``y_true`` and ``y_pred`` (on the scale of the target): the rows of the main seed,
        then those of the repeats. Where every clip is tested, each is once in each split: tested,
        validating and teaching in different folds.
    """
    from tiktok_virality.training.lineup import predict_all

    if published_predictions is not None:
        repeated_predictions = pd.concat(
            [repeated_predictions, published_predictions], ignore_index=True
        )
    if "test" not in model_input.splits:
        return repeated_predictions
    fusions = {name: DecisionFusion.model_validate(value) for name, value in late_fusions.items()}
    of_main_seed = predict_all(
        model_input, baselines, rehearsed_baselines, list(models.values()), fusions, seed
    )
    return pd.concat([of_main_seed, repeated_predictions], ignore_index=True)
