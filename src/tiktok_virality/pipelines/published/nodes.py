"""Tokens for the published models, both Transformers alone and together, and their predictions."""

from __future__ import annotations

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.models.configs import ConvLSTMConfig, TransformerConfig
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.pipelines.modeling.nodes import trainings_of
from tiktok_virality.pipelines.visual.nodes import train_autoencoder
from tiktok_virality.storage import Place
from tiktok_virality.training.corpus import ModelInput
from tiktok_virality.training.parameters import (
    AutoencoderTraining,
    EmbeddingParameters,
    TrainingParameters,
)
from tiktok_virality.training.published import PublishedFaults
from tiktok_virality.training.published import assemble_published as assemble


def read_states(
    frames: StageTable,
    splits: pd.DataFrame,
    autoencoder: TrainedModel,
    shape: ConvLSTMConfig,
    training: AutoencoderTraining,
    embedding: EmbeddingParameters,
    faults: PublishedFaults,
    seed: int,
    device: str,
    checkpoints: Place,
) -> StagePlan:
    """Plan the reading of the autoencoder's states of every clip that has frames.

    Where states are swapped, an autoencoder is trained that swaps them; ours stays as it is.
    """
    from tiktok_virality.stages.published import StateReader

    if faults.swapped_states:
        shape = shape.model_copy(update={"swapped_states": True})
        autoencoder = train_autoencoder(frames, splits, shape, training, seed, device, checkpoints)
    return StagePlan(
        items=frames.items(["pixels"]),
        transform=StateReader(autoencoder, faults.channels_as_tokens, device),
        absent=frames.missing("frames"),
        batch_size=embedding.batch_size,
        resources=Resources(in_process=True),
    )


def read_block_states(
    waveforms: StageTable, parameters: WhisperParameters, device: str
) -> StagePlan:
    """Plan the averaging of Whisper's states over every clip that has sound.

    Raises:
        ParameterError: Whisper has no model of that name.
        WeightsError: There are no weights, or not the right ones.
    """
    from tiktok_virality.models.whisper_weights import find_whisper_checkpoint
    from tiktok_virality.stages.published import BlockStateReader

    checkpoint = find_whisper_checkpoint(parameters.model, parameters.weights)
    return StagePlan(
        items=waveforms.items(["samples"]),
        transform=BlockStateReader(checkpoint, parameters.precision, device),
        absent=waveforms.missing("waveform"),
        batch_size=parameters.batch_size,
        resources=Resources(in_process=True),
    )


def assemble_published(
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    target: TargetParameters,
    faults: PublishedFaults,
    **embeddings: StageTable,
) -> tuple[ModelInput, list[ModelInput]]:
    """Bring together the tokens of the published models and what is true of each clip.

    Returns:
        As `modeling.nodes.assemble_clips`.

    Raises:
        DataError: A split would be empty, or the manifest does not say what the target needs.
    """
    return assemble(manifest, splits, embeddings, target, faults)


def train_published_again(
    published_divisions: list[ModelInput],
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    target: TargetParameters,
    transformer: TransformerConfig,
    training: TrainingParameters,
    faults: PublishedFaults,
    repeats: int,
    seed: int,
    device: str,
    checkpoints: Place,
    **embeddings: StageTable,
) -> StagePlan:
    """Plan to train the published models for each fold and under other seeds, one by one."""
    from tiktok_virality.training.cross_fitting import training_item
    from tiktok_virality.training.lineup import Recipe
    from tiktok_virality.training.published import PublishedTrainer

    trainings = trainings_of(published_divisions, repeats, seed)
    recipe = Recipe(transformer=transformer, training=training, fine_tuning=training)
    return StagePlan(
        items=[training_item(each, published_divisions) for each in trainings],
        transform=PublishedTrainer(
            manifest=manifest,
            splits=splits,
            tables=embeddings,
            target=target,
            recipe=recipe if training.engine.type == "local" else recipe.in_one_process,
            device=device,
            checkpoints=checkpoints,
            faults=faults,
        ),
        batch_size=1,
        resources=Resources(in_process=True),
    )


def predict_published(
    published_input: ModelInput,
    published_repeated_predictions: pd.DataFrame,
    seed: int,
    **models: TrainedModel,
) -> pd.DataFrame:
    """Let the published models predict every clip that they may be measured on.

    Returns:
        As `modeling.nodes.predict`.
    """
    from tiktok_virality.training.lineup import predict_all

    if "test" not in published_input.splits:
        return published_repeated_predictions
    of_main_seed = predict_all(published_input, {}, {}, list(models.values()), {}, seed)
    return pd.concat([of_main_seed, published_repeated_predictions], ignore_index=True)
