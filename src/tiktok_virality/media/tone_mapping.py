"""High dynamic range as a usual screen shows it: otherwise white is grey, and colours are pale.

Perceptual quantisation (SMPTE ST 2084) and hybrid log-gamma (ITU-R BT.2100) become linear light,
of which 203 candela per square metre are white (ITU-R BT.2408). Primaries are converted from
BT.2020, what is brighter than white is pressed together under it, and the rest stays as it is.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

PQ: Final = 16
HLG: Final = 18
"""Transfer characteristics by their number in ITU-T H.273."""
BT2020: Final = 9
"""Colour primaries, likewise."""

WHITE_NITS: Final = 203.0
HLG_PEAK_NITS: Final = 1000.0
KNEE: Final = 0.8
"""Of white, above which light is pressed together."""
SCREEN_GAMMA: Final = 2.2
TO_BT709: Final = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
"""Linear BT.2020 to linear BT.709 (ITU-R BT.2087)."""


def is_high_range(transfer: int) -> bool:
    """Say whether pictures of this transfer must be mapped."""
    return transfer in (PQ, HLG)


def map_tones(pixels: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """Return how a usual screen shows a picture.

    Args:
        pixels: RGB as coded, full range, uint16 [H, W, 3].
        transfer: `PQ` or `HLG`.
        primaries: By their number in H.273.

    Returns:
        uint8 [H, W, 3].
    """
    coded = pixels.astype(np.float32) / np.float32(65_535)
    light = (_light_of_pq(coded) if transfer == PQ else _light_of_hlg(coded)) / WHITE_NITS
    if primaries == BT2020:
        light = np.maximum(light @ TO_BT709.T, 0)
    over = np.maximum(light - KNEE, 0)
    shown = np.minimum(light, KNEE) + (1 - KNEE) * (1 - np.exp(-over / (1 - KNEE)))
    return np.rint(255 * shown ** (1 / SCREEN_GAMMA)).astype(np.uint8)


def _light_of_pq(coded: Floats) -> Floats:
    """Return candela per square metre."""
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    root = coded ** (1 / m2)
    light = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return np.asarray(light, np.float32)


def _light_of_hlg(coded: Floats) -> Floats:
    """Return candela per square metre on a screen of `HLG_PEAK_NITS`."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)
    luma = scene @ np.array([0.2627, 0.6780, 0.0593], np.float32)
    return np.asarray(HLG_PEAK_NITS * scene * luma[..., None] ** 0.2, np.float32)
