"""The frame stage: every clip is decoded once, for all that looks at its picture."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self, cast

from tiktok_virality.execution import Cut, Outcome, StageItem, outcome_of
from tiktok_virality.media.clip import EncodedVideo
from tiktok_virality.media.fingerprint import hash_frames, hash_sampling
from tiktok_virality.media.frames import (
    FrameSampling,
    FrameTensor,
    Sampling,
    sample_frames,
    sample_together,
)
from tiktok_virality.media.motion import MotionSampling, measure_steps
from tiktok_virality.media.stills import StillSampling, encode_still
from tiktok_virality.schema import Config

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "frames": ("pixels", "timestamps_seconds"),
    "stills": ("stills", "still_seconds"),
    "motion": ("steps", "step_seconds"),
    "hashes": ("picture_hashes",),
}
"""What a `ClipDecoder` takes of a clip, cut by cut."""

CUTTERS: Final[Mapping[str, Callable[[FrameTensor], tuple[Any, ...]]]] = {
    "frames": lambda taken: (taken.pixels, taken.timestamps_seconds),
    "stills": lambda taken: (list(map(encode_still, taken.pixels)), taken.timestamps_seconds),
    "motion": lambda taken: (measure_steps(taken), taken.timestamps_seconds),
    "hashes": lambda taken: (hash_frames(taken.pixels),),
}
"""How frames become the columns of a cut."""


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
        frames = sample_frames(video.file, self.sampling)
        return {"pixels": frames.pixels, "timestamps_seconds": frames.timestamps_seconds}


@dataclass(frozen=True)
class ClipDecoder:
    """Decodes each clip once, and takes from it what has settings of its own.

    - ``frames``: ``pixels`` uint8 [T, 3, H, W] and ``timestamps_seconds`` float32 [T], small frames
      of one shape;
    - ``stills``: ``stills``, JPEG files [S] in the clip's own shape (`media.stills.decode_still`),
      and ``still_seconds`` float32 [S];
    - ``motion``: ``steps`` float32 [M - 1, len(STEP)], what happens from one frame to the next
      (`media.motion`), and ``step_seconds`` float32 [M], the times of these frames;
    - ``hashes``: ``picture_hashes`` uint64 [at most hashed], to find copies by.

    Attributes:
        sampling: Which frames are kept small, and at what size.
        stills: Which frames are kept large, and at what size.
        motion: Between which frames motion is measured.
        hashed: How many frames are hashed, evenly spread.
        taken: The cuts to take; all of them if not given.
    """

    sampling: FrameSampling
    stills: StillSampling
    motion: MotionSampling
    hashed: int
    taken: tuple[str, ...] = tuple(COLUMNS)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {name: cut.identity for name, cut in self.cuts().items() if name in self.taken}

    def cuts(self) -> Mapping[str, Cut]:
        """Return what hangs on which setting."""
        settings = {
            name: sampling.model_dump(mode="json") for name, sampling in self._samplings.items()
        }
        return {
            name: Cut(identity={"version": 4, name: settings[name]}, columns=columns)
            for name, columns in COLUMNS.items()
        }

    def only(self, names: Collection[str]) -> Self:
        """Return a decoder for some of the cuts; what none of them needs stays encoded."""
        return replace(self, taken=tuple(name for name in COLUMNS if name in names))

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Decode a batch of clips."""
        return [outcome_of(item, self._decode) for item in items]

    @property
    def _samplings(self) -> dict[str, Config]:
        return {
            "frames": self.sampling,
            "stills": self.stills,
            "motion": self.motion,
            "hashes": hash_sampling(self.hashed),
        }

    def _decode(self, item: StageItem) -> dict[str, Any]:
        video: EncodedVideo = item.payload
        samplings = [cast("Sampling", self._samplings[name]) for name in self.taken]
        decoded = sample_together(video.file, samplings)
        return {
            name: value
            for cut, frames in zip(self.taken, decoded, strict=True)
            for name, value in zip(COLUMNS[cut], CUTTERS[cut](frames), strict=True)
        }
