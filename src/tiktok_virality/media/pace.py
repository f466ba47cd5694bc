"""How fast a clip goes: cuts and motion, measured between sampled frames.

Shot rate and motion energy are the oldest descriptors of editing (Adams, Dorai and Venkatesh, 2000,
"Novel approach to determining tempo and dramatic story sections in motion pictures"). As rates per
second they do not depend on how densely a clip was sampled, as long as cuts stay apart.
"""

from __future__ import annotations

from typing import Final

import numpy as np

PACE: Final = ("cuts", "change", "moving_share", "displacement")
"""The columns of `clip_pace`, each per second; the last three leave cuts out."""

CUT_QUANTILE: Final = 0.25
CUT_CHANGE: Final = 0.12
"""A cut changes nearly the whole picture: three quarters of the pixels by more than this."""
MOVING_CHANGE: Final = 0.1
"""A pixel moves when a channel changes by more than this, between 0 and 1."""
FLAT: Final = 0.01
"""Least gradient, in grey levels between 0 and 1 per pixel, that displacements are read from."""


def clip_pace(pixels: np.ndarray, timestamps_seconds: np.ndarray) -> np.ndarray:
    """Measure the pace at every frame of a clip.

    Args:
        pixels: uint8 [T, 3, H, W].
        timestamps_seconds: When each frame is shown, ascending, [T].

    Returns:
        float32 [T, 4], the columns of `PACE`: whether the picture was cut since the frame before;
        how much it changed, as the mean over pixels and channels in [0, 1]; the share of pixels
        that changed visibly; and the change divided by the mean gradient, which is about how many
        pixels things moved. The first frame has no frame before it and is given the mean of the
        others, so that means over frames are means over steps; a single frame has zeros.
    """
    pace = np.zeros((len(pixels), len(PACE)), np.float32)
    if len(pixels) < 2:
        return pace
    frames = pixels.astype(np.float32) / 255  # [T, 3, H, W]
    change = np.abs(np.diff(frames, axis=0))  # [T - 1, 3, H, W]
    strongest = change.max(axis=1).reshape(len(change), -1)  # [T - 1, H * W]
    cut = np.quantile(strongest, CUT_QUANTILE, axis=1) > CUT_CHANGE
    amount = change.mean(axis=(1, 2, 3))
    gradient = _gradient(frames)
    steps = np.stack(
        [
            cut,
            ~cut * amount,
            ~cut * (strongest > MOVING_CHANGE).mean(axis=1),
            ~cut * amount / np.maximum((gradient[1:] + gradient[:-1]) / 2, FLAT),
        ],
        axis=1,
    )
    apart = np.maximum(np.diff(timestamps_seconds.astype(np.float64)), 1e-3)  # [T - 1]
    pace[1:] = steps / apart[:, None]
    pace[0] = pace[1:].mean(axis=0)
    return pace


def _gradient(frames: np.ndarray) -> np.ndarray:
    """Return the mean absolute difference of neighbouring pixels of every frame, [T]."""
    across, down = (np.abs(np.diff(frames, axis=axis)).mean(axis=(1, 2, 3)) for axis in (3, 2))
    return (across + down) / 2
