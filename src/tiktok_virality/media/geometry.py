"""How a decoded picture is to be shown: turned, mirrored, and fitted into a canvas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self, SupportsBytes, TypeVar, cast

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


Length = TypeVar("Length", int, float)


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """One of the eight ways in which a display matrix lays a picture on the screen.

    Attributes:
        transposed: Rows become columns, before any mirroring.
        mirrored_x: Left and right are exchanged.
        mirrored_y: Top and bottom are exchanged.
    """

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Self:
        """Read the display matrix of a frame; one that is not at right angles is rounded to them.

        The matrix ``[[a, b, u], [c, d, v], [x, y, w]]`` maps (column, row) to
        (a column + c row, b column + d row), as the QuickTime file format defines it.
        """
        from av.sidedata.sidedata import SideDataContainer

        # frame.side_data would be kept in the frame: a cycle, and a decoded picture left in memory
        held = SideDataContainer(frame)  # type: ignore[call-arg]
        side_data = cast("Mapping[str, SupportsBytes]", held)
        if "DISPLAYMATRIX" not in side_data:
            return cls()
        matrix = np.frombuffer(bytes(side_data["DISPLAYMATRIX"]), dtype=np.int32)
        a, b, _, c, d = matrix[:5].tolist()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(mirrored_x=a < 0, mirrored_y=d < 0)
        return cls(transposed=True, mirrored_x=c < 0, mirrored_y=b < 0)

    @property
    def rotation_degrees(self) -> int:
        """Clockwise turn that shows the picture upright: 0, 90, 180 or 270."""
        if self.transposed:
            return 90 if self.mirrored_x else 270
        return 180 if self.mirrored_y else 0

    def size(self, width: Length, height: Length) -> tuple[Length, Length]:
        """Return the (width, height) at which a picture of this coded size is shown."""
        return (height, width) if self.transposed else (width, height)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Turn pixels [H, W, C] as coded into pixels as shown: a view, not a copy."""
        shown = pixels.swapaxes(0, 1) if self.transposed else pixels
        step_y = -1 if self.mirrored_y else 1
        step_x = -1 if self.mirrored_x else 1
        return shown[::step_y, ::step_x]


class Layout(NamedTuple):
    """Sizes as (width, height) in pixels.

    Attributes:
        canvas: Of the whole picture.
        fitted: Of the frame that is centred on it.
    """

    canvas: tuple[int, int]
    fitted: tuple[int, int]


def fit_within(width: float, height: float, canvas: tuple[int, int]) -> tuple[int, int]:
    """Return the largest whole (width, height) of this shape inside a (width, height) canvas."""
    scale = min(canvas[0] / width, canvas[1] / height)
    return (
        max(1, min(canvas[0], round(width * scale))),
        max(1, min(canvas[1], round(height * scale))),
    )


def shrink_to(width: float, height: float, longest_side: int) -> Layout:
    """Return a size of the same shape that is no larger, and has no bars."""
    scale = min(1.0, longest_side / max(width, height))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Layout(canvas=size, fitted=size)
