"""The fingerprint stage: what every clip looks and sounds like, to find copies by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.media.clip import EncodedVideo
from tiktok_virality.media.fingerprint import fingerprint_clip


@dataclass(frozen=True)
class ClipFingerprinter:
    """Takes fingerprints: columns ``picture`` uint64 [T] and ``sound`` uint32 [N].

    Attributes:
        frames: How many frames of a clip to hash.
    """

    frames: int

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {"version": 1, "frames": self.frames}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Take the fingerprints of a batch of clips."""
        return [outcome_of(item, self._fingerprint) for item in items]

    def _fingerprint(self, item: StageItem) -> dict[str, Any]:
        video: EncodedVideo = item.payload
        taken = fingerprint_clip(video.path, self.frames)
        return {"picture": taken.picture, "sound": taken.sound}
