"""Waveforms, and the words and embeddings that Whisper makes of them."""

from __future__ import annotations

import json
from typing import Final

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.models.whisper_configs import WaveformParameters, WhisperParameters

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


def extract_waveforms(
    manifest: pd.DataFrame, videos: VideoFiles, parameters: WaveformParameters
) -> StagePlan:
    """Plan the decoding of every usable video's sound."""
    from tiktok_virality.stages.probing import video_items
    from tiktok_virality.stages.waveforms import WaveformExtractor

    hashes = dict(zip(manifest["video_id"], manifest["content_hash"], strict=True))
    return StagePlan(
        items=video_items(videos, manifest["video_id"], hashes),
        transform=WaveformExtractor(parameters.silence_dbfs),
        resources=Resources(beside=True),
    )


def read_speech(
    waveforms: StageTable,
    manifest: pd.DataFrame,
    parameters: WhisperParameters,
    seed: int,
    device: str,
) -> StagePlan:
    """Plan one Whisper pass over every waveform, clips of like length together.

    Raises:
        ParameterError: Whisper has no model of that name.
        WeightsError: There are no weights, or not the right ones.
    """
    from tiktok_virality.models.whisper_weights import find_whisper_checkpoint
    from tiktok_virality.stages.speech import SpeechReader

    seconds = dict(zip(manifest["video_id"], manifest["duration_seconds"], strict=True))
    checkpoint = find_whisper_checkpoint(parameters.model, parameters.weights)
    return StagePlan(
        items=sorted(waveforms.items(["samples"]), key=lambda item: seconds[item.video_id]),
        transform=SpeechReader(parameters, checkpoint, device, seed),
        absent=waveforms.missing("waveform"),
        batch_size=parameters.batch_size,
        resources=Resources(in_process=True, beside=True),
    )


def tabulate_transcripts(audio_embeddings: StageTable) -> pd.DataFrame:
    """Return what is said, one row per clip that has sound; ``segments`` are JSON text."""
    transcripts = audio_embeddings.to_frame(TRANSCRIPT_COLUMNS)
    as_text = [json.dumps(segments, ensure_ascii=False) for segments in transcripts["segments"]]
    return transcripts.assign(segments=as_text)
