"""How the picture of a clip moves: of the camera, within the picture, and from cut to cut.

Dense optical flow (Kroeger and others, 2016, "Fast optical flow using dense inverse search", by
OpenCV) between frames a tenth of a second apart is divided into what moves everything, an affine
motion of the camera, and what moves besides. Shot rate and motion are the oldest descriptors of
editing (Adams, Dorai and Venkatesh, 2000, "Novel approach to determining tempo and dramatic story
sections in motion pictures"); cuts are found as by Zhang, Kankanhalli and Smoliar (1993).

Speeds are in longest sides of the picture per second, so neither size nor frame rate matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tiktok_virality.media.frames import ROUNDING_SECONDS, FrameTensor, places_apart
from tiktok_virality.media.geometry import Layout, shrink_to
from tiktok_virality.schema import Config

Floats = NDArray[np.float32]

DIRECTIONS: Final = 8
CELLS: Final = 3
"""Rows and columns that the picture is divided into, for where the action is."""
STEP: Final = (
    *("jump", "unexplained", "lighter"),
    *("pan_x", "pan_y", "zoom", "turn"),
    *("speed", "own_speed", "own_peak"),
    *(f"towards_{n}" for n in range(DIRECTIONS)),
    *(f"cell_{n}" for n in range(CELLS * CELLS)),
)
"""What `measure_steps` says of each step from a frame to the next."""

GRID_POINTS: Final = 24
"""Of the longest side, at which the motion of the camera is read."""
FITS: Final = 3
"""Times that the camera's motion is fitted; points that do not go along count less each time."""
TEXTURE: Final = 4.0
"""Grey levels per pixel at which a point is half as trustworthy as can be."""
CUT_JUMP: Final = 0.25
CUT_UNEXPLAINED: Final = 0.06
CUT_TIMES: Final = 3.0
"""A cut changes so much of the colours, and of the grey levels that motion does not explain, and
so many times what is usual in the clip."""
SLOW_SECONDS: Final = 0.4
"""Frames farther apart than this are slides: each is a picture of its own."""
LEAST_SIDE: Final = 32
"""Of a picture, in pixels, in which optical flow can be looked for."""
LEAST_SPEED: Final = 0.01
"""Sides per second that are as good as standing still: logarithms begin there."""


class MotionSampling(Config):
    """Which frames motion is measured between; they have the shape of the clip.

    Attributes:
        apart_seconds: From a frame to the next, or from one shown to the next shown where that
            takes longer.
        longest_side: Of a frame, in pixels.
    """

    apart_seconds: float = Field(default=0.1, gt=0, le=2)
    longest_side: int = Field(default=128, ge=32, le=1024)

    def indices(self, seconds: np.ndarray) -> list[int]:
        """Return which frames to keep, ascending, of those that are shown at these times."""
        return places_apart(seconds, self.apart_seconds)

    def layout(self, width: float, height: float) -> Layout:
        """Return the size of a frame of a picture that is shown at this size; it has no bars."""
        return shrink_to(width, height, self.longest_side)


@dataclass(frozen=True, kw_only=True)
class MotionTokens:
    """The motion of a clip, window by window.

    Attributes:
        values: float32 [T, sum of parts].
        parts: How many numbers in a row speak of one thing: cuts, speed, camera, light, directions,
            and where the action is.
    """

    values: Floats
    parts: tuple[int, ...]


def measure_steps(frames: FrameTensor) -> Floats:
    """Measure what happens from each frame to the next.

    Args:
        frames: A clip, uint8 [T, 3, H, W].

    Returns:
        float32 [T - 1, len(STEP)]: share of the colours that changed, 0 to 1; mean grey level that
        motion leaves unexplained, 0 to 1; how much lighter it became, per second; the camera's
        speed to the right and down, its zoom and its turn (radians) per second; the mean speed of
        everything, and the mean and the 95th percentile of what does not go with the camera; mean
        speed by direction, from right over down; and the speed that is not the camera's, by cell.
    """
    import cv2

    cv2.setNumThreads(1)  # stages run one process per core
    pictures = _large_enough(frames.pixels).transpose(0, 2, 3, 1)  # [T, H, W, 3]
    pictures = np.ascontiguousarray(pictures)
    if len(pictures) < 2:
        return np.zeros((0, len(STEP)), np.float32)
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures]
    colours = [_colours(picture) for picture in pictures]
    matcher: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    height, width = greys[0].shape
    side = max(height, width)
    points = (max(CELLS, GRID_POINTS * width // side), max(CELLS, GRID_POINTS * height // side))
    across, down = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype="f4"))
    steps, flows, trust = [], [], []
    for (one, other), (before, after) in zip(pairwise(greys), pairwise(colours), strict=True):
        flow = matcher.calc(one, other, None)  # [H, W, 2]
        back = cv2.remap(other, across + flow[..., 0], down + flow[..., 1], cv2.INTER_LINEAR)
        unexplained = np.abs(back.astype(np.float32) - one).mean() / 255
        lighter = (float(other.mean()) - float(one.mean())) / 255
        steps.append((np.abs(after - before).sum() / 2, unexplained, lighter))
        flows.append(cv2.resize(flow, points, interpolation=cv2.INTER_AREA) / side)
        trust.append(cv2.resize(_texture(one), points, interpolation=cv2.INTER_AREA))
    apart = np.maximum(np.diff(frames.timestamps_seconds.astype(np.float64)), 1e-3)  # [T - 1]
    known = np.array(steps, np.float64)
    known[:, 2] /= apart
    speeds = np.stack(flows) / apart[:, None, None, None]  # [S, h, w, 2]
    divided = _divide(speeds, np.stack(trust))
    return np.concatenate([known, divided], axis=1).astype(np.float32)


def describe_motion(
    steps: Floats, timestamps_seconds: np.ndarray, seconds_per_token: float
) -> MotionTokens:
    """Sum up steps by windows of equal length; where no frame follows, nothing moves.

    Args:
        steps: float32 [T - 1, len(STEP)].
        timestamps_seconds: When the frames are shown, ascending, [T].
        seconds_per_token: Length of a window.
    """
    ends = np.asarray(timestamps_seconds, np.float64) - float(timestamps_seconds[0])
    count = max(1, int(np.ceil((ends[-1] + ROUNDING_SECONDS) / seconds_per_token)))
    at = np.minimum((ends[1:] - ROUNDING_SECONDS) // seconds_per_token, count - 1).astype(int)
    by_name = dict(zip(STEP, steps.T.astype(np.float64), strict=True))
    cut = find_cuts(steps, np.diff(ends))
    smooth = ~cut

    def mean(values: NDArray[Any], counted: NDArray[np.bool_]) -> NDArray[Any]:
        total = np.bincount(at[counted], values[counted], count)
        return np.asarray(total / np.maximum(np.bincount(at[counted], minlength=count), 1))

    always = np.ones(len(steps), bool)
    pan = np.stack([by_name["pan_x"], by_name["pan_y"]], axis=1)  # [S, 2]
    jerk = np.zeros(len(steps))
    jerk[1:] = np.linalg.norm(np.diff(pan, axis=0), axis=1)
    steady = smooth & np.concatenate([[False], smooth[:-1]])
    speeds = {name: mean(by_name[name], smooth) for name in ("speed", "own_speed", "own_peak")}
    speeds["pan"] = mean(np.linalg.norm(pan, axis=1), smooth)
    speeds["jerk"] = mean(jerk, steady)
    changes = [mean(np.abs(by_name[name]), smooth) for name in ("zoom", "turn")]
    towards = [mean(by_name[f"towards_{n}"], smooth) for n in range(DIRECTIONS)]
    cells = [mean(by_name[f"cell_{n}"], smooth) for n in range(CELLS * CELLS)]
    parts = [
        [
            np.bincount(at[cut], minlength=count) / seconds_per_token,
            mean(by_name["jump"], always),
            mean(by_name["unexplained"], always),
        ],
        [_log(values) for values in speeds.values()],
        [*(mean(by_name[name], smooth) for name in ("pan_x", "pan_y", "zoom", "turn"))]
        + [_log(values) for values in changes],
        [mean(by_name["lighter"], always), mean(np.abs(by_name["lighter"]), always)],
        [_log(values) for values in towards],
        [_log(values) for values in cells],
    ]
    values = np.stack([column for part in parts for column in part], axis=1)
    return MotionTokens(
        values=values.astype(np.float32), parts=tuple(len(columns) for columns in parts)
    )


def find_cuts(steps: Floats, apart_seconds: NDArray[Any]) -> NDArray[np.bool_]:
    """Say which steps are cuts, [T - 1]: where colours change, and motion does not explain it.

    Args:
        steps: float32 [T - 1, len(STEP)].
        apart_seconds: How long each step takes, [T - 1]. Slides change at every step, so only
            steps that are quick are compared with what is usual.
    """
    cut = np.ones(len(steps), bool)
    quick = apart_seconds < SLOW_SECONDS
    for name, least in (("jump", CUT_JUMP), ("unexplained", CUT_UNEXPLAINED)):
        values = steps[:, STEP.index(name)]
        usual = float(np.median(values[quick])) if quick.any() else 0.0
        cut &= (values > least) & ((values > CUT_TIMES * usual) | ~quick)
    return cut


def _log(speeds: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(np.log1p(speeds / LEAST_SPEED))


def _large_enough(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pictures, [T, 3, H, W], whose edges are repeated where flow would find too little."""
    missing = [max(0, LEAST_SIDE - side) for side in pixels.shape[2:]]
    if not any(missing):
        return pixels
    return np.pad(pixels, [(0, 0), (0, 0), *((0, more) for more in missing)], mode="edge")


def _colours(picture: NDArray[np.uint8]) -> NDArray[Any]:
    """Return a histogram of 8 x 8 x 8 colours that adds up to 1."""
    import cv2

    bins, whole = [8, 8, 8], [0, 256, 0, 256, 0, 256]
    counts = cv2.calcHist([picture], [0, 1, 2], None, bins, whole).ravel()
    return np.asarray(counts / counts.sum())


def _texture(grey: NDArray[np.uint8]) -> NDArray[Any]:
    """Return how far the flow at each pixel can be believed, 0 to 1: there must be something."""
    import cv2

    slopes = np.abs(cv2.Sobel(grey, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return np.asarray(slopes / 8 / (slopes / 8 + TEXTURE))


def _divide(flow: NDArray[Any], trust: NDArray[Any]) -> NDArray[Any]:
    """Return what speeds say of camera, objects, directions and cells.

    Args:
        flow: Sides per second, [S, h, w, 2].
        trust: 0 to 1, [S, h, w].
    """
    count, height, width, _ = flow.shape
    side = max(height, width)
    down, across = np.mgrid[:height, :width]
    x = (across.ravel() - (width - 1) / 2) / side
    y = (down.ravel() - (height - 1) / 2) / side
    basis = np.stack([np.ones_like(x), x, y], axis=1)  # [n, 3]
    flat, weight = flow.reshape(count, -1, 2), trust.reshape(count, -1) + 1e-3
    own = flat
    for _ in range(FITS):
        gram = np.einsum("sn,ni,nj->sij", weight, basis, basis) + 1e-6 * np.eye(3)
        moment = np.einsum("sn,ni,snc->sic", weight, basis, flat)
        camera = np.linalg.solve(gram, moment)  # [S, 3, 2]
        own = flat - np.einsum("ni,sic->snc", basis, camera)
        far = np.linalg.norm(own, axis=2)
        usual = np.median(far, axis=1, keepdims=True) + LEAST_SPEED
        weight = (trust.reshape(count, -1) + 1e-3) / (1 + np.square(far / usual))
    speed, own_speed = np.linalg.norm(flat, axis=2), np.linalg.norm(own, axis=2)
    zoom, turn = (camera[:, 1, 0] + camera[:, 2, 1]) / 2, (camera[:, 1, 1] - camera[:, 2, 0]) / 2
    angle = np.arctan2(flat[..., 1], flat[..., 0]) % (2 * np.pi)
    sector = (angle / (2 * np.pi) * DIRECTIONS).astype(int) % DIRECTIONS
    towards = [(speed * (sector == n)).mean(axis=1) for n in range(DIRECTIONS)]
    cell = (CELLS * down // height * CELLS + CELLS * across // width).ravel()
    cells = [own_speed[:, cell == n].mean(axis=1) for n in range(CELLS * CELLS)]
    pan = (camera[:, 0, 0], camera[:, 0, 1])
    own_peak = np.quantile(own_speed, 0.95, axis=1)
    speeds = (speed.mean(axis=1), own_speed.mean(axis=1), own_peak)
    return np.stack([*pan, zoom, turn, *speeds, *towards, *cells], axis=1)
