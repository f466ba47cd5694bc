"""Clips made deliberately unlike those of a corpus: does anyone notice?

Each alteration takes the real frames of a clip and returns as many: [T, 3, H, W] uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

IDS: Final = "video_id"
"""Key of the ids of altered clips, among the arrays of their embeddings."""

Frames = NDArray[np.uint8]
Alteration = Callable[[Frames, np.random.Generator], Frames]

LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in brightness (ITU-R BT.601)."""


def negative_colours(frames: Frames, rng: np.random.Generator) -> Frames:
    """Return the photographic negative."""
    return 255 - frames


def black_and_white(frames: Frames, rng: np.random.Generator) -> Frames:
    """Return the brightness alone, in all three channels."""
    brightness = np.tensordot(frames, np.asarray(LUMA), axes=([1], [0]))  # [T, H, W]
    return np.repeat(brightness.round().astype(np.uint8)[:, None], 3, axis=1)


def upside_down(frames: Frames, rng: np.random.Generator) -> Frames:
    """Return every frame turned by half a turn."""
    return np.ascontiguousarray(frames[:, :, ::-1, ::-1])


def pure_noise(frames: Frames, rng: np.random.Generator) -> Frames:
    """Return random pixels that know nothing of the clip but its size."""
    return rng.integers(0, 256, frames.shape, dtype=np.uint8)


def frozen_frame(frames: Frames, rng: np.random.Generator) -> Frames:
    """Return the first frame, at every moment."""
    return np.repeat(frames[:1], len(frames), axis=0)


ALTERATIONS: Final[Mapping[str, Alteration]] = {
    "negative colours": negative_colours,
    "black and white": black_and_white,
    "upside down": upside_down,
    "pure noise": pure_noise,
    "frozen frame": frozen_frame,
}
