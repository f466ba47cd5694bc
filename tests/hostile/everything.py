"""One transform that does with a clip whatever opens its file, for tests that start few workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiktok_virality.execution import Done, Failed, Outcome, StageItem
from tiktok_virality.media.audio import fingerprint_waveform
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.media.limits import ClipLimits
from tiktok_virality.media.motion import MotionSampling
from tiktok_virality.media.stills import StillSampling
from tiktok_virality.stages.frames import ClipDecoder
from tiktok_virality.stages.probing import ProbeVideos
from tiktok_virality.stages.waveforms import WaveformExtractor

LIMITS = ClipLimits()


@dataclass(frozen=True)
class ReadEverything:
    """Probes a clip; what is within the limits of length is decoded, heard and fingerprinted."""

    def identity(self) -> Mapping[str, Any]:
        return {}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        return [self._read(item) for item in items]

    def _read(self, item: StageItem) -> Outcome:
        [probed] = ProbeVideos()([item])
        if not isinstance(probed, Done):
            return probed
        seconds = max(probed.columns["duration_seconds"], probed.columns["sound_seconds"])
        if not LIMITS.min_seconds <= seconds <= LIMITS.max_seconds:
            return Done(video_id=item.video_id, columns={"said": "outside of the limits"})
        outcomes = [outcome for each in (DECODER, WaveformExtractor()) for outcome in each([item])]
        heard = outcomes[1]
        if isinstance(heard, Done):
            fingerprint_waveform(heard.columns["samples"])
        said = ", ".join(map(_ended, outcomes))
        return Done(video_id=item.video_id, columns={"said": said})


DECODER = ClipDecoder(FrameSampling(shrink=32), StillSampling(count=2), MotionSampling(), hashed=4)


def _ended(outcome: Outcome) -> str:
    return outcome.reason if isinstance(outcome, Failed) else type(outcome).__name__
