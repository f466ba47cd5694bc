"""What a clip looks and sounds like, in a few numbers that survive another encoding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tiktok_virality.media.frames import FrameSampling

HASH_BITS: Final = 64
BAR_LEVEL: Final = 24
"""A row or column of pixels that is never brighter than this, of 255, is part of a black bar."""

PLAIN_DEVIATION: Final = 4.0
"""A frame whose grey levels deviate less than this, of 255, shows nothing to know it by."""


@dataclass(frozen=True, kw_only=True)
class ClipFingerprint:
    """What is compared between clips.

    Attributes:
        picture: Perceptual hash of each sampled frame that shows something, uint64 [T]; empty for a
            clip of plain frames.
        sound: Chromaprint's raw fingerprint, uint32 [N], eight a second; empty without a track, and
            for less than about 3 seconds of it.
    """

    picture: NDArray[np.uint64]
    sound: NDArray[np.uint32]


def hash_sampling(frames: int) -> FrameSampling:
    """Return how to sample the frames that are hashed: so many, evenly spread, quite small."""
    return FrameSampling(
        every_nth=1, shrink=1, max_frames=frames, reference_height=256, reference_width=144
    )


def hash_frames(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return the perceptual hashes (pHash, by ImageHash) of the frames that show something.

    Black bars that last the whole clip are cut off first: ours, which fit a clip into its canvas,
    and those of a copy that was fitted into another shape.

    Args:
        pixels: RGB, uint8 [T, 3, H, W].

    Returns:
        uint64 [at most T], in the order of the frames.
    """
    import imagehash
    from PIL import Image

    hashes = []
    for frame in _without_bars(pixels):
        grey = Image.fromarray(frame.transpose(1, 2, 0)).convert("L")
        if np.asarray(grey).std() >= PLAIN_DEVIATION:
            hashes.append(np.packbits(imagehash.phash(grey).hash))  # [8] bytes
    return np.array(hashes, np.uint8).reshape(-1, HASH_BITS // 8).view(np.uint64)[:, 0]


def _without_bars(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    brightest = pixels.max(axis=(0, 1))  # [H, W]
    rows = np.flatnonzero(brightest.max(axis=1) > BAR_LEVEL)
    columns = np.flatnonzero(brightest.max(axis=0) > BAR_LEVEL)
    if not len(rows):
        return pixels[:0]
    return np.ascontiguousarray(pixels[:, :, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
