"""The fingerprint stage: what every clip looks and sounds like, to find copies by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.media.audio import can_fingerprint, fingerprint_waveform


class DecodedRow(Protocol):
    """A row of the stage ``frames`` or ``waveforms``."""

    def load(self) -> Mapping[str, Any]:
        """Read its columns: ``picture_hashes`` of one, ``samples`` of the other."""
        ...


@dataclass(frozen=True, kw_only=True)
class FingerprintSource:
    """What a fingerprint is taken from.

    Attributes:
        picture: The row of its frames, for their hashes.
        sound: The row of its waveform; ``None`` where it has no sound.
    """

    picture: DecodedRow
    sound: DecodedRow | None


@dataclass(frozen=True)
class ClipFingerprinter:
    """Takes fingerprints: columns ``picture`` uint64 [T], ``sound`` uint32 [N], ``sound_compared``.

    Where ffmpeg cannot take fingerprints of sound, copies are found by their pictures alone, and
    ``sound_compared`` says so; an ffmpeg that can takes them all anew.

    Attributes:
        frames: How many frames of a clip were hashed when it was decoded.
    """

    frames: int

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result, beside the file."""
        return {"version": 4, "frames": self.frames, "sound": can_fingerprint()}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Take the fingerprints of a batch of clips."""
        return [outcome_of(item, self._fingerprint) for item in items]

    def _fingerprint(self, item: StageItem) -> dict[str, Any]:
        source: FingerprintSource = item.payload
        heard = np.empty(0, np.uint32)
        if source.sound is not None and can_fingerprint():
            heard = fingerprint_waveform(source.sound.load()["samples"])
        return {
            "picture": source.picture.load()["picture_hashes"],
            "sound": heard,
            "sound_compared": can_fingerprint(),
        }
