"""A stage that worker processes can import: it says the id of every clip aloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiktok_virality.execution import Done, Outcome, StageItem


@dataclass
class SayName:
    """Gives each clip a sound of its own, and a text that names it and another one."""

    other: str

    def identity(self) -> Mapping[str, Any]:
        return {}

    def setup(self) -> None:
        pass

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        return [
            Done(
                video_id=item.video_id,
                columns={
                    "samples": np.full(1600, 0.1, np.float32),
                    "text": f"I am {item.video_id}, not {self.other}",
                },
            )
            for item in items
        ]
