"""The waveform stage: the sound of every clip, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiktok_virality.execution import Absent, Failed, Outcome, StageItem, outcome_of
from tiktok_virality.media.audio import NO_SOUND, decode_audio, peak_dbfs
from tiktok_virality.media.clip import EncodedVideo
from tiktok_virality.schema import MediaError

SILENT = "silent"


@dataclass(frozen=True)
class WaveformExtractor:
    """Decodes sound: column ``samples`` float32 [samples] in [-1, 1), mono at 16 kHz.

    A clip without an audio track that can be decoded, or whose track is silent, is absent, which is
    no failure.

    Attributes:
        silence_dbfs: A track that never gets louder than this is silent, in decibels of full
            scale.
    """

    silence_dbfs: float = -60.0

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {"version": 2, "silence_dbfs": self.silence_dbfs}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Decode a batch of clips."""
        return [outcome_of(item, self._extract) for item in items]

    def _extract(self, item: StageItem) -> dict[str, Any] | Absent:
        video: EncodedVideo = item.payload
        try:
            samples = decode_audio(video.file)
        except MediaError as error:
            if error.reason in NO_SOUND:
                return Absent(video_id=item.video_id, reason=error.reason)
            raise
        if peak_dbfs(samples) < self.silence_dbfs:
            return Absent(video_id=item.video_id, reason=SILENT)
        return {"samples": samples}


def load_waveforms(items: Sequence[StageItem]) -> tuple[dict[str, np.ndarray], list[Outcome]]:
    """Return the samples of each clip of a batch, by id; and those that cannot be loaded."""
    waveforms: dict[str, np.ndarray] = {}
    failed: list[Outcome] = []
    for item in items:
        try:
            waveforms[item.video_id] = load_samples(item)
        except MediaError as error:
            failed.append(Failed(video_id=item.video_id, reason=error.reason, detail=error.detail))
    return waveforms, failed


def load_samples(item: StageItem) -> np.ndarray:
    """Return float32 [samples].

    Raises:
        MediaError: The waveform is unreadable or empty, or holds what is no number.
    """
    samples: np.ndarray = item.payload.load()["samples"]
    if len(samples) == 0:
        raise MediaError("empty waveform", f"{item.video_id} has a waveform without samples")
    if not np.isfinite(samples).all():
        raise MediaError("broken waveform", f"{item.video_id} has samples that are no numbers")
    return samples
