"""The pictures of a clip: bright shapes that bounce over a backdrop, scene after scene.

Lengths are in picture heights, so that a speed looks the same at every size. Frames are drawn
small and scaled up by the encoder; edges are antialiased, so they stay smooth.
"""

from __future__ import annotations

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

Colour = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours that go together, RGB.

    Attributes:
        dark: The two ends of a dark backdrop.
        light: The two ends of a light backdrop.
        accents: Of the shapes.
    """

    dark: tuple[Colour, Colour]
    light: tuple[Colour, Colour]
    accents: tuple[Colour, ...]


def _colours(*codes: str) -> tuple[Colour, ...]:
    return tuple((int(c[0:2], 16), int(c[2:4], 16), int(c[4:6], 16)) for c in codes)


def _palette(*codes: str) -> Palette:
    top, bottom, light_top, light_bottom, *accents = _colours(*codes)
    return Palette(dark=(top, bottom), light=(light_top, light_bottom), accents=tuple(accents))


PALETTES: Final[Mapping[str, Palette]] = {
    "sunset": _palette("2b1055", "7a2a6b", "ffe3c2", "ffc1a8", "ff5e62", "ff9966", "c2185b"),
    "ocean": _palette("04243e", "0b4f6c", "d9f4ff", "a9dff2", "01baef", "20bf55", "1565c0"),
    "berry": _palette("2a0a3a", "5b1a6e", "fbe4ff", "efc3f5", "d6249f", "8e44ec", "fd5949"),
    "forest": _palette("0c2818", "1d4d33", "eaf7dc", "cdeab5", "43aa4a", "f4a93b", "0b8457"),
    "candy": _palette("3a1040", "8a2a63", "fff0f6", "ffd3e4", "ff4d8d", "2ec4e6", "9b5de5"),
    "desert": _palette("3b1c0a", "7a4419", "fff3dc", "f7dcae", "e4572e", "f3a712", "a8763e"),
    "aurora": _palette("07142b", "123c55", "e0fff6", "b7f3e2", "00c9a7", "845ec2", "2f80ed"),
    "citrus": _palette("23301a", "4a5f1f", "fdffdf", "f2f5a9", "f7b801", "f35b04", "5aa02c"),
}


def draw_frames(plan: ClipPlan) -> Iterator[np.ndarray]:
    """Yield the frames of a clip, uint8 [CANVAS_HEIGHT, CANVAS_WIDTH, 3]."""
    rng = np.random.default_rng([plan.seed, *b"picture"])
    palette = PALETTES[plan.palette]
    cuts = [*plan.cut_times_seconds, np.inf]
    is_dark = bool(rng.integers(2))
    scene = _Scene.drawn_from(rng, plan, palette, is_dark=is_dark)
    for index in range(plan.frame_count):
        time = index / plan.fps
        if time >= cuts[0]:
            cuts.pop(0)
            is_dark = not is_dark
            scene = _Scene.drawn_from(rng, plan, palette, is_dark=is_dark)
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
        cls, rng: np.random.Generator, plan: ClipPlan, palette: Palette, *, is_dark: bool
    ) -> _Scene:
        ends = palette.dark if is_dark else palette.light
        return cls(
            backdrop=_blend(ends, _BACKDROPS[plan.backdrop](rng)),
            movers=tuple(_movers(rng, plan.motion_speed, palette.accents)),
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


def _movers(
    rng: np.random.Generator, speed: float, accents: tuple[Colour, ...]
) -> Iterator[_Mover]:
    """Yield shapes that all move at one speed, each its own way; evenly spread over the picture."""
    for index in range(SHAPES_PER_SCENE):
        angle = rng.uniform(0.15, 0.85) * np.pi / 2 + rng.integers(4) * np.pi / 2
        place = np.array([rng.uniform(0, ASPECT), (index + rng.uniform()) / SHAPES_PER_SCENE])
        yield _Mover(
            start=place,
            velocity=speed * np.array([np.cos(angle), np.sin(angle)]),
            spin=float(rng.choice([-1, 1])) * speed * 4,
            radius=rng.uniform(*RADIUS),
            colour=np.array(accents[index % len(accents)], np.float32),
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
"""How far each pixel is from the first to the second colour, [H, W], about 0 to 1."""


def _blend(ends: tuple[Colour, Colour], share: np.ndarray) -> np.ndarray:
    first, second = (np.array(end, np.float32) for end in ends)
    return first + np.clip(share, 0, 1).astype(np.float32)[..., None] * (second - first)
