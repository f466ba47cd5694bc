"""Stage items whose payload are stills, as the stage store hands them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tiktok_virality.execution import StageItem
from tiktok_virality.media.stills import encode_still


@dataclass(frozen=True)
class Stills:
    """A payload of JPEG files, one a second."""

    stills: Sequence[bytes]

    def load(self) -> dict[str, Any]:
        seconds = np.arange(len(self.stills), dtype=np.float32)
        return {"stills": list(self.stills), "still_seconds": seconds}


def still_item(video_id: str, *pictures: np.ndarray) -> StageItem:
    """Return the item of a clip with these stills, each uint8 [3, H, W]."""
    payload = Stills([encode_still(picture) for picture in pictures])
    return StageItem(video_id=video_id, digest=video_id, payload=payload)


def patches(seed: int, height: int = 160, width: int = 90) -> np.ndarray:
    """Return a picture of coloured patches, uint8 [3, H, W]."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 8, 8)).astype(np.uint8)
    enlarged = np.kron(coarse, np.ones((1, -(-height // 8), -(-width // 8)), np.uint8))
    return enlarged[:, :height, :width]
