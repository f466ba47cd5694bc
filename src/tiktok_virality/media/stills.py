"""Stills: a few larger frames of a clip in its own shape, as JPEG, for what looks at details."""

from __future__ import annotations

import io
from typing import Final

import numpy as np
from pydantic import Field

from tiktok_virality.media.geometry import Layout, shrink_to
from tiktok_virality.schema import Config, MediaError

JPEG_QUALITY: Final = 90
FULL_COLOUR: Final = 0
"""Pillow's name for colours at every pixel (4:4:4), so that coloured letters keep their edges."""


class StillSampling(Config):
    """Which frames of a clip are kept large.

    Stills have the shape of the clip: upright, without bars, never enlarged.

    Attributes:
        count: How many, evenly spread; a clip with fewer frames keeps them all.
        longest_side: Of a still, in pixels.
    """

    count: int = Field(default=8, ge=1, le=256)
    longest_side: int = Field(default=640, ge=64, le=4096)

    def indices(self, seconds: np.ndarray) -> list[int]:
        """Return which frames to keep, ascending: the middles of equal stretches."""
        count = len(seconds)
        kept = min(self.count, count)
        return ((np.arange(kept) + 0.5) * count / kept).astype(int).tolist()

    def layout(self, width: float, height: float) -> Layout:
        """Return the size of a still of a picture that is shown at this size; it has no bars."""
        return shrink_to(width, height, self.longest_side)


def encode_still(pixels: np.ndarray) -> bytes:
    """Return RGB pixels, uint8 [3, H, W], as JPEG."""
    from PIL import Image

    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    picture.save(buffer, format="JPEG", quality=JPEG_QUALITY, subsampling=FULL_COLOUR)
    return buffer.getvalue()


def decode_still(content: bytes) -> np.ndarray:
    """Return the pixels of a still, RGB, uint8 [3, H, W].

    Args:
        content: An element of the column ``stills`` of the stage ``frames``.

    Raises:
        MediaError: ``"unreadable still"``: it is no JPEG.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as picture:
            shown = np.asarray(picture.convert("RGB"))  # [H, W, 3]
    except OSError as error:
        raise MediaError("unreadable still", str(error)) from error
    return np.ascontiguousarray(shown.transpose(2, 0, 1))
