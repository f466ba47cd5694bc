"""The words and embeddings that Whisper makes of waveforms."""

from __future__ import annotations

import json
from typing import Final

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.models.whisper_configs import WhisperParameters

TRANSCRIPT_COLUMNS: Final = (
    "text",
    "language",
    "segments",
    "has_speech",
    "no_speech_prob",
    "compression_ratio",
    "words_per_second",
    "duration_seconds",
)


def read_speech(
    waveforms: StageTable,
    manifest: pd.DataFrame,
    parameters: WhisperParameters,
    seed: int,
    device: str,
) -> StagePlan:
    """Plan one Whisper pass over the waveform of every usable video, those of like length together.

    Raises:
        ParameterError: Whisper has no model of that name.
        WeightsError: There are no weights, or not the right ones.
    """
    from tiktok_virality.models.whisper_weights import find_whisper_checkpoint
    from tiktok_virality.stages.speech import SpeechReader

    seconds = dict(zip(manifest["video_id"], manifest["duration_seconds"], strict=True))
    usable = [item for item in waveforms.items(["samples"]) if item.video_id in seconds]
    absent = waveforms.missing("waveform")
    checkpoint = find_whisper_checkpoint(parameters.model, parameters.weights)
    return StagePlan(
        items=sorted(usable, key=lambda item: seconds[item.video_id]),
        transform=SpeechReader(parameters, checkpoint, device, seed),
        absent={key: why for key, why in absent.items() if key in seconds},
        batch_size=parameters.batch_size,
        resources=Resources(in_process=True, beside=True),
    )


def tabulate_transcripts(audio_embeddings: StageTable) -> pd.DataFrame:
    """Return what is said, one row per clip that has sound; ``segments`` are JSON text."""
    transcripts = audio_embeddings.to_frame(TRANSCRIPT_COLUMNS)
    as_text = [json.dumps(segments, ensure_ascii=False) for segments in transcripts["segments"]]
    return transcripts.assign(segments=as_text)
