"""The states that the published models read, as two tables of their own."""

from __future__ import annotations

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.models.published_configs import PublishedFaults
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.training.parameters import EmbeddingParameters


def keep_autoencoder_states(
    frames: StageTable,
    autoencoder: TrainedModel,
    faults: PublishedFaults,
    embedding: EmbeddingParameters,
    device: str,
) -> StagePlan:
    """Plan to keep the last state of every clip that has frames, or one for each of its moments."""
    from tiktok_virality.stages.published import StateKeeper

    grid = (embedding.grid_height, embedding.grid_width)
    return StagePlan(
        items=frames.items(["pixels"]),
        transform=StateKeeper(autoencoder, None if faults.channels_as_tokens else grid, device),
        absent=frames.missing("frames"),
        batch_size=embedding.batch_size,
        resources=Resources(in_process=True),
    )


def average_whisper_states(
    waveforms: StageTable, whisper: WhisperParameters, device: str
) -> StagePlan:
    """Plan to average the states of every layer of Whisper over every clip that has sound.

    Raises:
        ParameterError: Whisper has no model of that name.
        WeightsError: There are no weights, or not the right ones.
    """
    from tiktok_virality.models.whisper_weights import find_whisper_checkpoint
    from tiktok_virality.stages.published import LayerAverager

    checkpoint = find_whisper_checkpoint(whisper.model, whisper.weights)
    return StagePlan(
        items=waveforms.items(["samples"]),
        transform=LayerAverager(checkpoint, whisper.precision, device),
        absent=waveforms.missing("waveform"),
        batch_size=whisper.batch_size,
        resources=Resources(in_process=True),
    )
