"""Small transforms that worker processes can import."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tiktok_virality.execution import Absent, Outcome, StageItem, outcome_of
from tiktok_virality.schema import MediaError, WeightsError


@dataclass
class Square:
    """Squares a number; some payloads misbehave on purpose. Each call leaves a trace file.

    Attributes:
        trace: Folder of the trace files.
        power: The square is another power.
        seconds: Processor time that an item takes, at least.
    """

    trace: Path
    power: int = 2
    seconds: float = 0.0
    ready: bool = field(default=False, init=False)

    def identity(self) -> Mapping[str, Any]:
        return {"power": self.power}

    def setup(self) -> None:
        self.ready = True

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        assert self.ready
        return [outcome_of(item, self._one) for item in items]

    def _one(self, item: StageItem) -> Mapping[str, Any] | Outcome:
        with (self.trace / f"{item.video_id}.{os.getpid()}.{os.urandom(4).hex()}").open("w"):
            pass
        match item.payload:
            case "crash":
                os._exit(3)
            case "damaged":
                raise MediaError("unreadable", "moov atom not found")
            case "surprise":
                raise ZeroDivisionError("a fault of our own")
            case "silent":
                return Absent(video_id=item.video_id, reason="silent")
            case "no weights":
                raise WeightsError("no weights anywhere")
            case "interrupt":
                raise KeyboardInterrupt
        number = float(item.payload)
        began = time.process_time()
        while time.process_time() - began < self.seconds:
            pass
        return {
            "tokens": np.full((2, int(number) % 3 + 1), number**self.power, np.float16),
            "text": f"{number}",
            "language": None,
            "segments": [{"text": "a", "start_seconds": 0.5}],
        }

    def seen(self) -> list[str]:
        """Ids processed so far, one entry per time."""
        return sorted(path.name.rsplit(".", 2)[0] for path in self.trace.iterdir())


def items(**payloads: Any) -> list[StageItem]:
    return [
        StageItem(video_id=key, digest=f"digest of {key}", payload=payload)
        for key, payload in payloads.items()
    ]
