"""Tiny mp4 files, each with a picture of its own."""

from __future__ import annotations

import io
from functools import cache

import av
import numpy as np

WIDTH, HEIGHT, RATE, FRAMES = 96, 160, 10, 12


@cache
def clip(seed: int) -> bytes:
    """Return 1.2 seconds of coloured squares that move; every seed gives others."""
    rng = np.random.default_rng(seed)
    squares = rng.integers(0, 255, (10, 6, 3), dtype=np.uint8)
    picture = squares.repeat(HEIGHT // 10, axis=0).repeat(WIDTH // 6, axis=1)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, 4 * number, axis=0), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()
