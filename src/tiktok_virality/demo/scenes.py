"""The pictures of a clip: shapes that bounce before a textured wall, scene after scene.

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

LUMA: Final = (0.299, 0.587, 0.114)
COLDEST_HUE: Final = 0.61
WARMEST_HUE: Final = 0.06
"""Blue and orange; the palette lies on the way between them over green, at warmth 0 to 1."""
CHROMA: Final = 0.45
"""How far red, green and blue of a fully saturated colour lie from its brightness, at most."""
WALL_CHROMA: Final = 0.75
"""Of the objects' chroma, the wall's."""
HUE_OF_SCENES: Final = 0.03
"""How far the hues of walls and objects stray from the palette."""

WALL_MARGIN: Final = 0.28
"""Of a wall beyond each edge of the picture, in picture sizes: what zoom and shake can show."""
WALL_ROWS: Final = 4  # the picture shows the inner two, and a camera that moves more
WALL_COLUMNS: Final = 2
"""Places of a wall that have a light of their own; between them it goes over quickly."""
WALL_LIGHT: Final = (0.15, 0.2)
"""How much brighter or darker than the wall they are. Each cut swaps bright and dark places, which
changes nearly every pixel and neither the brightness of the picture nor its contrast."""
EDGE: Final = 4.0
"""How steeply one place goes over into the next; 1 is a line from middle to middle."""
TEXTURE: Final = 0.085
"""How much brighter or darker the texture makes a wall."""
OBJECT_LIGHT: Final = 0.22
"""How much brighter or darker than the picture objects are: as many of them are one as other."""

TRAIL: Final = ((0.06, 0.4), (0.0, 1.0))
"""Where a shape is shown: seconds ago and how opaque. A faster shape draws a longer trail."""
ACTION_SHARE: Final = 0.55
"""Of the picture's width and height, where shapes bounce."""
EDGE_MARGIN: Final = 0.04
OPENING_SECONDS: Final = 1.0
OPENING_SPEED: Final = 1.8
"""Picture heights per second that shapes are faster at most during the opening."""
SHAKE_HZ: Final = (2.3, 3.7, 6.1)


def draw_frames(plan: ClipPlan) -> Iterator[np.ndarray]:
    """Yield the frames of a clip, uint8 [CANVAS_HEIGHT, CANVAS_WIDTH, 3]."""
    rng = np.random.default_rng([plan.seed, *b"picture"])
    camera = _Camera.of(plan, rng)
    cuts = [*plan.cut_times_seconds, np.inf]
    number = int(rng.integers(2))
    scene = _Scene.drawn_from(rng, plan, number)
    for index in range(plan.frame_count):
        time = index / plan.fps
        if time >= cuts[0]:
            cuts.pop(0)
            number += 1
            scene = _Scene.drawn_from(rng, plan, number)
        yield scene.frame_at(time, camera)


@dataclass(frozen=True, kw_only=True)
class _Camera:
    """How the picture moves and brightens as a whole.

    Attributes:
        plan: Of the clip.
        phases: Of the shaking, [2, len(SHAKE_HZ)].
    """

    plan: ClipPlan
    phases: np.ndarray

    @classmethod
    def of(cls, plan: ClipPlan, rng: np.random.Generator) -> _Camera:
        return cls(plan=plan, phases=rng.uniform(0, 2 * np.pi, (2, len(SHAKE_HZ))))

    def magnification(self, time: float) -> float:
        """Return how large things are; 1 in the middle of the clip."""
        return math.exp(self.plan.zoom * (time - self.plan.duration_seconds / 2))

    def offset(self, time: float) -> np.ndarray:
        """Return where the middle of the picture is, in picture heights, [2]."""
        angles = 2 * np.pi * np.array(SHAKE_HZ) * time + self.phases
        return np.asarray(self.plan.shake * np.sin(angles).mean(axis=1) * math.sqrt(2))

    def light(self, time: float) -> float:
        """Return by how much the picture is brighter than on average over the clip, 0 to 255."""
        return 255 * self.plan.brightening * (time / self.plan.duration_seconds - 0.5)

    def seen(self, wall: np.ndarray, time: float) -> np.ndarray:
        """Return the part of a wall that is in the picture, float32 [H, W, 3]."""
        from PIL import Image

        size = np.array([CANVAS_WIDTH, CANVAS_HEIGHT])
        half = size / (2 * self.magnification(time))
        middle = size * (0.5 + WALL_MARGIN) - self.offset(time) * CANVAS_HEIGHT
        limit = np.array([wall.shape[1], wall.shape[0]])
        low, high = np.maximum(middle - half, 0), np.minimum(middle + half, limit)
        seen = Image.fromarray(wall).resize(
            (CANVAS_WIDTH, CANVAS_HEIGHT), Image.Resampling.BILINEAR, (*low, *high)
        )
        return np.asarray(seen, np.float32)


@dataclass(frozen=True, kw_only=True)
class _Mover:
    """A shape on its way: straight on, and back from the edges of the action."""

    start: np.ndarray
    direction: np.ndarray
    spin: float
    colour: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Scene:
    """What is seen between two cuts.

    Attributes:
        plan: Of the clip.
        wall: The backdrop with its margins, uint8 [H', W', 3].
        movers: The objects.
        corner: Upper left of where they are, [2].
        room: How far that is across and down, [2].
        distance: From the outline of a shape.
    """

    plan: ClipPlan
    wall: np.ndarray
    movers: tuple[_Mover, ...]
    corner: np.ndarray
    room: np.ndarray
    distance: Callable[[np.ndarray, np.ndarray, float], np.ndarray]

    @classmethod
    def drawn_from(cls, rng: np.random.Generator, plan: ClipPlan, number: int) -> _Scene:
        picture = np.array([ASPECT, 1.0])
        inner = picture - 2 * EDGE_MARGIN
        room = ACTION_SHARE * inner
        place = np.array([plan.action_x, plan.action_y])
        return cls(
            plan=plan,
            wall=draw_wall(plan, rng, number),
            movers=tuple(_movers(rng, plan, room)),
            corner=EDGE_MARGIN + place * (inner - room),
            room=room,
            distance=_DISTANCES[plan.shape],
        )

    def frame_at(self, time: float, camera: _Camera) -> np.ndarray:
        frame = camera.seen(self.wall, time)
        for mover in self.movers:
            for age, opacity in TRAIL:
                self._draw(frame, mover, camera, time, age, opacity)
        frame += camera.light(time) + 0.5
        return np.asarray(np.clip(frame, 0, 255, out=frame).astype(np.uint8))

    def _draw(
        self,
        frame: np.ndarray,
        mover: _Mover,
        camera: _Camera,
        time: float,
        age: float,
        opacity: float,
    ) -> None:
        way = travelled(self.plan, time - age)
        place = self.corner + _bounce(mover.start + mover.direction * way, self.room)
        middle = np.array([ASPECT, 1.0]) / 2
        scale = camera.magnification(time)
        centre = (middle + scale * (place - middle) + camera.offset(time)).astype(np.float32)
        radius = scale * self.plan.object_size
        rows, columns = _window(centre, radius)
        pixels = frame[rows, columns]  # a view
        if not pixels.size:
            return
        x = (_X[columns] - centre[0])[None, :] / radius
        y = (_Y[rows] - centre[1])[:, None] / radius
        cover = opacity * _coverage(self.distance(x, y, mover.spin * way), radius)[..., None]
        light = (1 - 0.12 * (x + y))[..., None]  # from the upper left
        pixels += cover * (mover.colour * light - pixels)


def travelled(plan: ClipPlan, time: float) -> float:
    """Return how far every shape has come at a time, in picture heights: an opening runs ahead."""
    ahead = plan.opening * OPENING_SPEED * min(max(time, 0.0), OPENING_SECONDS)
    return plan.motion_speed * time + ahead


def palette_colour(plan: ClipPlan, hue_shift: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return colours of a clip's palette: hue and brightness do not depend on each other.

    Args:
        plan: Says how warm, saturated, bright and rich in contrast.
        hue_shift: From the palette's hue, in turns of the colour circle, [...].
        light: How much brighter than the picture, at medium contrast, [...].

    Returns:
        float32 [..., 3], 0 to 255 where nothing is too bright or dark to be shown.
    """
    hue = COLDEST_HUE + plan.warmth * (WARMEST_HUE - COLDEST_HUE) + hue_shift
    at = np.mod(hue, 1) * len(_HUES)
    chroma = CHROMA * plan.saturation * _HUES[at.astype(int) % len(_HUES)]
    bright = plan.brightness + plan.contrast * light
    return np.asarray(255 * (bright[..., None] + chroma), np.float32)


def draw_wall(plan: ClipPlan, rng: np.random.Generator, number: int) -> np.ndarray:
    """Draw the backdrop of a scene, with margins: uint8 [H', W', 3].

    Args:
        plan: Of the clip.
        rng: Decides where its texture lies.
        number: Of the scene: bright places of one are dark in the next.
    """
    room = np.random.default_rng([plan.look, *b"room"])
    places = room.choice([-1, 1], WALL_COLUMNS)
    signs = np.outer((-1) ** np.arange(number, number + WALL_ROWS), places)
    light = signs * rng.uniform(*WALL_LIGHT, signs.shape)
    light -= light[1:-1].mean()  # as much light as shade in the picture; the rest is margin
    hues = HUE_OF_SCENES * (room.uniform(-1, 1, signs.shape) + (-1) ** number)
    pattern = TEXTURE * _BACKDROPS[plan.backdrop](rng, plan.texture_scale)
    muted = plan.model_copy(update={"saturation": WALL_CHROMA * plan.saturation})
    wall = palette_colour(muted, _between_places(hues), pattern)
    wall += 255 * _between_places(light)[..., None]
    return np.asarray(np.clip(wall + 0.5, 0, 255).astype(np.uint8))


def _between_places(nodes: np.ndarray) -> np.ndarray:
    """Spread nodes over a wall, corner to corner: [R, C] to [H', W']."""
    down = _weights(len(_WALL_Y), nodes.shape[0])
    across = _weights(len(_WALL_X), nodes.shape[1])
    return np.asarray(down @ nodes @ across.T)


def _weights(pixels: int, nodes: int) -> np.ndarray:
    """Return how much of each node is in each pixel of a line, [pixels, nodes]."""
    places = np.linspace(0, nodes - 1, pixels)[:, None]
    near = 1 - np.abs(places - np.arange(nodes))
    return np.clip(EDGE * (near - 0.5) + 0.5, 0, 1)


def _hue_circle(count: int) -> np.ndarray:
    """Return vivid colours without their brightness, [count, 3]: their luma is zero."""
    colours = np.array([colorsys.hsv_to_rgb(hue / count, 1, 1) for hue in range(count)])
    chroma = colours - (colours @ np.array(LUMA))[:, None]
    return np.asarray(chroma / np.abs(chroma).max(axis=1, keepdims=True))


_HUES: Final = _hue_circle(256)
_X: Final = ((np.arange(CANVAS_WIDTH) + 0.5) / CANVAS_HEIGHT).astype(np.float32)
_Y: Final = ((np.arange(CANVAS_HEIGHT) + 0.5) / CANVAS_HEIGHT).astype(np.float32)
_WALL_X: Final = (np.arange(round(CANVAS_WIDTH * (1 + 2 * WALL_MARGIN))) + 0.5) / CANVAS_HEIGHT
_WALL_Y: Final = (np.arange(round(CANVAS_HEIGHT * (1 + 2 * WALL_MARGIN))) + 0.5) / CANVAS_HEIGHT


def _bounce(position: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Fold a straight way into [0, room]."""
    return np.asarray(room - np.abs(np.mod(position, 2 * room) - room))


def _window(centre: np.ndarray, reach: float) -> tuple[slice, slice]:
    """Return the rows and columns that a shape may touch."""
    first = np.floor((centre - reach) * CANVAS_HEIGHT).astype(int)
    last = np.maximum(np.ceil((centre + reach) * CANVAS_HEIGHT).astype(int) + 1, 0)
    left, top = np.maximum(first, 0)
    return slice(top, min(last[1], CANVAS_HEIGHT)), slice(left, min(last[0], CANVAS_WIDTH))


def _coverage(distance: np.ndarray, radius: float) -> np.ndarray:
    """Turn distances from the outline, in radii, into the share of each pixel that is covered."""
    return np.clip(0.5 - distance * (radius * CANVAS_HEIGHT), 0, 1)


def _movers(rng: np.random.Generator, plan: ClipPlan, room: np.ndarray) -> Iterator[_Mover]:
    """Yield shapes that all move at one speed, each its own way; evenly spread over their room."""
    darker = int(rng.integers(2))
    for index in range(plan.objects):
        angle = rng.uniform(0.15, 0.85) * np.pi / 2 + rng.integers(4) * np.pi / 2
        place = np.array([rng.uniform(), (index + rng.uniform()) / plan.objects])
        light = OBJECT_LIGHT * (-1) ** (index + darker)
        shift = rng.uniform(-2, 2) * HUE_OF_SCENES
        yield _Mover(
            start=place * room,
            direction=np.array([np.cos(angle), np.sin(angle)]),
            spin=float(rng.choice([-4, 4])),
            colour=palette_colour(plan, np.array(shift), np.array(light)),
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
    return np.hypot(x, y) - 0.76 - 0.24 * np.cos(5 * (np.arctan2(y, x) - angle))


_DISTANCES: Final[Mapping[str, Callable[[np.ndarray, np.ndarray, float], np.ndarray]]] = {
    "circle": _circle,
    "ring": _ring,
    "square": _square,
    "flower": _flower,
}
"""Signed distance from the outline, in radii, negative inside."""


def _stripes(rng: np.random.Generator, scale: float) -> np.ndarray:
    x, _ = _turned(rng)
    return _hard(np.sin(2 * np.pi * x / scale))


def _dots(rng: np.random.Generator, scale: float) -> np.ndarray:
    """Return discs on a grid that cover half of the wall."""
    x, y = _turned(rng)
    across, along = np.mod(x / scale, 1) - 0.5, np.mod(y / scale, 1) - 0.5
    return _hard(4 * (0.4 - np.hypot(across, along)))


def _checks(rng: np.random.Generator, scale: float) -> np.ndarray:
    x, y = _turned(rng)
    return _hard(2 * np.sin(np.pi * x / scale) * np.sin(np.pi * y / scale))


def _rings(rng: np.random.Generator, scale: float) -> np.ndarray:
    x, y = (rng.uniform(0.2, 0.8) * limit[-1] for limit in (_WALL_X, _WALL_Y))
    return _hard(np.sin(2 * np.pi * np.hypot(_WALL_X[None, :] - x, _WALL_Y[:, None] - y) / scale))


def _turned(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates on the wall along axes that are turned and shifted, [H', W'] each."""
    angle = rng.uniform(0.2, 1.3) * rng.choice([-1, 1])
    across, along = rng.uniform(0, 1, 2)
    x = math.cos(angle) * _WALL_X[None, :] + math.sin(angle) * _WALL_Y[:, None] + across
    y = math.cos(angle) * _WALL_Y[:, None] - math.sin(angle) * _WALL_X[None, :] + along
    return x, y


def _hard(waves: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(4 * waves, -1, 1))


_BACKDROPS: Final[Mapping[str, Callable[[np.random.Generator, float], np.ndarray]]] = {
    "stripes": _stripes,
    "dots": _dots,
    "checks": _checks,
    "rings": _rings,
}
"""How bright the texture is at each pixel of a wall, [H', W'], -1 to 1."""
