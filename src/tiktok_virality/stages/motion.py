"""The motion stage: what moves in every clip, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.media.motion import describe_motion


@dataclass(frozen=True)
class MotionReader:
    """Sums up measured steps: ``tokens`` float16 [T, D], and ``timestamps_seconds`` float32 [T].

    Attributes:
        seconds_per_token: How long a token lasts.
    """

    seconds_per_token: float

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {"version": 1, "seconds_per_token": self.seconds_per_token}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Sum up a batch of clips."""
        return [outcome_of(item, self._read) for item in items]

    def _read(self, item: StageItem) -> dict[str, Any]:
        row = item.payload.load()
        seconds = self.seconds_per_token
        motion = describe_motion(row["steps"], row["step_seconds"], seconds)
        return {
            "tokens": motion.values.astype(np.float16),
            "token_seconds": seconds,
            "timestamps_seconds": (np.arange(len(motion.values)) * seconds).astype(np.float32),
            "parts": np.array(motion.parts, np.int32),
        }
