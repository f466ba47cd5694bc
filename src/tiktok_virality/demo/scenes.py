"""The pictures of a clip: bright shapes that bounce over a backdrop, scene after scene.

Lengths are in picture heights, so that a speed looks the same at every size. Frames are drawn
small and scaled up by the encoder; edges are antialiased, so they stay smooth.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from tiktok_virality.demo.clip_plan import ClipPlan

CANVAS_HEIGHT: Final = 320
CANVAS_WIDTH: Final = 180
ASPECT: Final = CANVAS_WIDTH / CANVAS_HEIGHT

SHAPES_PER_SCENE: Final = 6
RADIUS: Final = (0.1, 0.14)
EDGE_MARGIN: Final = 0.08
TRAIL: Final = ((0.12, 0.25), (0.06, 0.45), (0.0, 1.0))
"""Where a shape is shown: seconds ago and how opaque. A faster shape draws a longer trail."""
SHADOW_OFFSET: Final = 0.018
SHADOW_OPACITY: Final = 0.28

WALL_ROWS: Final = 5
WALL_COLUMNS: Final = 3
"""Places of a wall that have a colour of their own; between them it goes over smoothly."""
BY_NIGHT: Final = 0.27
BY_DAY: Final = 0.73
"""Brightness of a wall, 0 to 1. A cut goes from one to the other, which every pixel shows."""
WALL_TINT: Final = 0.2
"""How far red, green and blue of a wall lie from its brightness, at most."""
PATTERN: Final = 0.05
"""How much brighter or darker the pattern makes a wall."""
ACCENTS: Final = 3
ACCENT_SATURATION: Final = (0.6, 1.0)
ACCENT_VALUE: Final = (0.7, 1.0)


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a creator's clips have in common, whatever they show: one room and its colours.

    Attributes:
        night: The backdrop of dark scenes, float32 [H, W, 3], 0 to 255.
        day: That of bright scenes: the same tints, brighter.
        accents: Colours of the shapes, float32 [`ACCENTS`, 3], 0 to 255.
    """

    night: np.ndarray
    day: np.ndarray
    accents: np.ndarray

    @classmethod
    def of(cls, seed: int, backdrop: str) -> Look:
        """Return the look that a seed decides, with a pattern on its wall."""
        rng = np.random.default_rng([seed, *b"look"])
        tints = _smoothly_between(_tints(rng, (WALL_ROWS, WALL_COLUMNS)))
        pattern = PATTERN * (2 * np.clip(_BACKDROPS[backdrop](rng), 0, 1) - 1)
        night, day = (
            (255 * (brightness + pattern[..., None] + tints)).astype(np.float32)
            for brightness in (BY_NIGHT, BY_DAY)
        )
        return cls(night=night, day=day, accents=_accents(rng))


def _tints(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Return vivid colours without their brightness, [*shape, 3]: the channels add up to zero."""
    colours = rng.uniform(-1, 1, (*shape, 3))
    tints = colours - colours.mean(axis=-1, keepdims=True)
    return WALL_TINT * tints / np.abs(tints).max(axis=-1, keepdims=True)


def _smoothly_between(nodes: np.ndarray) -> np.ndarray:
    """Spread nodes over the picture, corner to corner: [R, C, 3] to [H, W, 3]."""
    down = _weights(CANVAS_HEIGHT, nodes.shape[0])
    across = _weights(CANVAS_WIDTH, nodes.shape[1])
    return np.einsum("hr,rck,wc->hwk", down, nodes, across)


def _weights(pixels: int, nodes: int) -> np.ndarray:
    """Return how much of each node is in each pixel of a line, [pixels, nodes]."""
    places = np.linspace(0, nodes - 1, pixels)[:, None]
    near = np.clip(1 - np.abs(places - np.arange(nodes)), 0, 1)
    return near**2 * (3 - 2 * near)


def _accents(rng: np.random.Generator) -> np.ndarray:
    hues, saturations, values = (
        rng.uniform(low, high, ACCENTS) for low, high in ((0, 1), ACCENT_SATURATION, ACCENT_VALUE)
    )
    colours = map(colorsys.hsv_to_rgb, hues, saturations, values)
    return 255 * np.array(list(colours), np.float32)


def draw_frames(plan: ClipPlan) -> Iterator[np.ndarray]:
    """Yield the frames of a clip, uint8 [CANVAS_HEIGHT, CANVAS_WIDTH, 3]."""
    rng = np.random.default_rng([plan.seed, *b"picture"])
    look = Look.of(plan.look, plan.backdrop)
    cuts = [*plan.cut_times_seconds, np.inf]
    is_dark = bool(rng.integers(2))
    scene = _Scene.drawn_from(rng, plan, look, is_dark=is_dark)
    for index in range(plan.frame_count):
        time = index / plan.fps
        if time >= cuts[0]:
            cuts.pop(0)
            is_dark = not is_dark
            scene = _Scene.drawn_from(rng, plan, look, is_dark=is_dark)
        yield scene.frame_at(time)


@dataclass(frozen=True, kw_only=True)
class _Mover:
    """A shape on its way: straight on, and back from the edges."""

    start: np.ndarray
    velocity: np.ndarray
    spin: float
    radius: float
    colour: np.ndarray

    def position(self, time: float) -> np.ndarray:
        room = np.array([ASPECT, 1.0]) - 2 * EDGE_MARGIN
        place = EDGE_MARGIN + _bounce(self.start + self.velocity * time, room)
        return place.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """What is seen between two cuts."""

    backdrop: np.ndarray
    movers: tuple[_Mover, ...]
    distance: Callable[[np.ndarray, np.ndarray, float], np.ndarray]

    @classmethod
    def drawn_from(
        cls, rng: np.random.Generator, plan: ClipPlan, look: Look, *, is_dark: bool
    ) -> _Scene:
        return cls(
            backdrop=look.night if is_dark else look.day,
            movers=tuple(_movers(rng, plan.motion_speed, look.accents)),
            distance=_DISTANCES[plan.shape],
        )

    def frame_at(self, time: float) -> np.ndarray:
        frame = self.backdrop.copy()
        for mover in self.movers:
            for age, opacity in TRAIL:
                self._draw(frame, mover, time - age, opacity)
        return (frame + 0.5).astype(np.uint8)

    def _draw(self, frame: np.ndarray, mover: _Mover, time: float, opacity: float) -> None:
        centre = mover.position(time)
        rows, columns = _window(centre, mover.radius + SHADOW_OFFSET)
        pixels = frame[rows, columns]  # a view
        x = (_X[columns] - centre[0])[None, :] / mover.radius
        y = (_Y[rows] - centre[1])[:, None] / mover.radius
        angle = mover.spin * time
        if opacity == 1.0:
            drop = SHADOW_OFFSET / mover.radius
            shadow = _coverage(self.distance(x, y - drop, angle), mover.radius)
            pixels *= 1 - SHADOW_OPACITY * shadow[..., None]
        cover = opacity * _coverage(self.distance(x, y, angle), mover.radius)[..., None]
        light = (1.06 - 0.16 * (x + y))[..., None]  # from the upper left
        painted = np.minimum(mover.colour * light, 255)
        pixels += cover * (painted - pixels)


_X: Final = ((np.arange(CANVAS_WIDTH) + 0.5) / CANVAS_HEIGHT).astype(np.float32)
_Y: Final = ((np.arange(CANVAS_HEIGHT) + 0.5) / CANVAS_HEIGHT).astype(np.float32)


def _bounce(position: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Fold a straight way into [0, room]."""
    return room - np.abs(np.mod(position, 2 * room) - room)


def _window(centre: np.ndarray, reach: float) -> tuple[slice, slice]:
    """Return the rows and columns that a shape may touch."""
    first = np.floor((centre - reach) * CANVAS_HEIGHT).astype(int)
    last = np.ceil((centre + reach) * CANVAS_HEIGHT).astype(int) + 1
    left, top = np.maximum(first, 0)
    return slice(top, min(last[1], CANVAS_HEIGHT)), slice(left, min(last[0], CANVAS_WIDTH))


def _coverage(distance: np.ndarray, radius: float) -> np.ndarray:
    """Turn distances from the outline, in radii, into the share of each pixel that is covered."""
    return np.clip(0.5 - distance * (radius * CANVAS_HEIGHT), 0, 1)


def _movers(rng: np.random.Generator, speed: float, accents: np.ndarray) -> Iterator[_Mover]:
    """Yield shapes that all move at one speed, each its own way; evenly spread over the picture."""
    for index in range(SHAPES_PER_SCENE):
        angle = rng.uniform(0.15, 0.85) * np.pi / 2 + rng.integers(4) * np.pi / 2
        place = np.array([rng.uniform(0, ASPECT), (index + rng.uniform()) / SHAPES_PER_SCENE])
        yield _Mover(
            start=place,
            velocity=speed * np.array([np.cos(angle), np.sin(angle)]),
            spin=float(rng.choice([-1, 1])) * speed * 4,
            radius=rng.uniform(*RADIUS),
            colour=accents[index % len(accents)],
        )


def _circle(x: np.ndarray, y: np.ndarray, angle: float) -> np.ndarray:
    return np.hypot(x, y) - 1


def _ring(x: np.ndarray, y: np.ndarray, angle: float) -> np.ndarray:
    return np.abs(np.hypot(x, y) - 0.72) - 0.28


def _square(x: np.ndarray, y: np.ndarray, angle: float) -> np.ndarray:
    """Return the distance from a square with round corners, turned by an angle."""
    cosine, sine = math.cos(angle), math.sin(angle)
    across = np.abs(x * cosine + y * sine) - 0.5
    along = np.abs(y * cosine - x * sine) - 0.5
    outside = np.hypot(np.maximum(across, 0), np.maximum(along, 0))
    return outside + np.minimum(np.maximum(across, along), 0) - 0.28


def _flower(x: np.ndarray, y: np.ndarray, angle: float) -> np.ndarray:
    return np.hypot(x, y) - 0.82 - 0.16 * np.cos(5 * (np.arctan2(y, x) - angle))


_DISTANCES: Final[Mapping[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]]] = {
    "circle": _circle,
    "ring": _ring,
    "square": _square,
    "flower": _flower,
}
"""Signed distance from the outline, in radii, negative inside."""


def _gradient(rng: np.random.Generator) -> np.ndarray:
    lean = rng.uniform(-0.8, 0.8)
    return _Y[:, None] + lean * (_X[None, :] - ASPECT / 2)


def _glow(rng: np.random.Generator) -> np.ndarray:
    x, y = rng.uniform(0.1, 0.45), rng.uniform(0.2, 0.8)
    return 1.5 * np.hypot(_X[None, :] - x, _Y[:, None] - y)


def _rays(rng: np.random.Generator) -> np.ndarray:
    x, y = rng.uniform(0.1, 0.45), rng.uniform(0.3, 0.7)
    angles = np.arctan2(_Y[:, None] - y, _X[None, :] - x)
    return 0.5 + 0.5 * np.clip(4 * np.sin(9 * angles + rng.uniform(0, 2 * np.pi)), -1, 1)


def _stripes(rng: np.random.Generator) -> np.ndarray:
    lean = rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)
    phase = rng.uniform(0, 2 * np.pi)
    waves = np.sin(30 * (_Y[:, None] + lean * _X[None, :]) + phase)
    return 0.5 + 0.5 * np.clip(4 * waves, -1, 1)


_BACKDROPS: Final[Mapping[str, Callable[[np.random.Generator], np.ndarray]]] = {
    "gradient": _gradient,
    "glow": _glow,
    "rays": _rays,
    "stripes": _stripes,
}
"""How bright the pattern is at each pixel, [H, W], about 0 to 1."""
