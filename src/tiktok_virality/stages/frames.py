"""The frame stage: every clip is decoded once, for all that looks at its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.media.clip import EncodedVideo
from tiktok_virality.media.fingerprint import hash_frames, hash_sampling
from tiktok_virality.media.frames import FrameSampling, Sampling, sample_frames, sample_together
from tiktok_virality.media.motion import MotionSampling, measure_steps
from tiktok_virality.media.stills import StillSampling, encode_still


@dataclass(frozen=True)
class FrameExtractor:
    """Samples frames: columns ``pixels`` uint8 [T, 3, H, W], ``timestamps_seconds`` float32 [T].

    Attributes:
        sampling: Which frames, and at what size.
    """

    sampling: FrameSampling

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {"version": 3, "sampling": self.sampling.model_dump(mode="json")}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Sample a batch of clips."""
        return [outcome_of(item, self._extract) for item in items]

    def _extract(self, item: StageItem) -> dict[str, Any]:
        video: EncodedVideo = item.payload
        frames = sample_frames(video.path, self.sampling)
        return {"pixels": frames.pixels, "timestamps_seconds": frames.timestamps_seconds}


@dataclass(frozen=True)
class ClipDecoder:
    """Decodes each clip once.

    Columns: ``pixels`` uint8 [T, 3, H, W] and ``timestamps_seconds`` float32 [T], small frames of
    one shape; ``stills``, JPEG files [S] in the clip's own shape (`media.stills.decode_still`), and
    ``still_seconds`` float32 [S]; ``steps`` float32 [M - 1, len(STEP)], what happens from one frame
    to the next (`media.motion`), and ``step_seconds`` float32 [M], the times of these frames;
    ``picture_hashes`` uint64 [at most hashed], to find copies by.

    Attributes:
        sampling: Which frames are kept small, and at what size.
        stills: Which frames are kept large, and at what size.
        motion: Between which frames motion is measured.
        hashed: How many frames are hashed, evenly spread.
    """

    sampling: FrameSampling
    stills: StillSampling
    motion: MotionSampling
    hashed: int

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {
            "version": 3,
            "sampling": self.sampling.model_dump(mode="json"),
            "motion": self.motion.model_dump(mode="json"),
            "stills": self.stills.model_dump(mode="json"),
            "hashed": self.hashed,
        }

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Decode a batch of clips."""
        return [outcome_of(item, self._decode) for item in items]

    def _decode(self, item: StageItem) -> dict[str, Any]:
        video: EncodedVideo = item.payload
        wanted: list[Sampling] = [self.sampling, self.stills, self.motion]
        wanted.append(hash_sampling(self.hashed))
        frames, stills, moving, hashed = sample_together(video.path, wanted)
        return {
            "pixels": frames.pixels,
            "timestamps_seconds": frames.timestamps_seconds,
            "stills": [encode_still(picture) for picture in stills.pixels],
            "still_seconds": stills.timestamps_seconds,
            "steps": measure_steps(moving),
            "step_seconds": moving.timestamps_seconds,
            "picture_hashes": hash_frames(hashed.pixels),
        }
