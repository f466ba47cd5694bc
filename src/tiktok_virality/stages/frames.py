"""The frame stage: every clip becomes a tensor of sampled frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.media.clip import EncodedVideo
from tiktok_virality.media.frames import FrameSampling, sample_frames


@dataclass(frozen=True)
class FrameExtractor:
    """Samples frames: columns ``pixels`` uint8 [T, 3, H, W], ``timestamps_seconds`` float32 [T].

    Attributes:
        sampling: Which frames, and at what size.
    """

    sampling: FrameSampling

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {"version": 1, "sampling": self.sampling.model_dump(mode="json")}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Sample a batch of clips."""
        return [outcome_of(item, self._extract) for item in items]

    def _extract(self, item: StageItem) -> dict[str, Any]:
        video: EncodedVideo = item.payload
        frames = sample_frames(video.path, self.sampling)
        return {"pixels": frames.pixels, "timestamps_seconds": frames.timestamps_seconds}
