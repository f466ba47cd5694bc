"""Damage of any file: flipped bits, missing ends, parts in the wrong place."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator

Seeds = Mapping[str, bytes]
"""Honest clips by name."""


def any_seed(rng: Generator, seeds: Seeds, *suffixes: str) -> tuple[str, bytes]:
    """Return the suffix and the content of one of the seeds."""
    names = [name for name in seeds if not suffixes or name.endswith(suffixes)]
    name = names[rng.integers(len(names))]
    return name[name.index(".") :], seeds[name]


def flip_bits(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """Flip some bits, anywhere or close to each other."""
    suffix, content = any_seed(rng, seeds)
    data = np.frombuffer(content, np.uint8).copy()
    count = int(2 ** rng.uniform(0, 8))
    start, width = 0, len(data)
    if rng.random() < 0.6:
        width = min(len(data), int(2 ** rng.uniform(5, 12)))
        start = int(rng.integers(len(data) - width + 1))
    places = start + rng.integers(width, size=count)
    np.bitwise_xor.at(data, places, (1 << rng.integers(8, size=count)).astype(np.uint8))
    return suffix, data.tobytes()


def cut_short(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """Keep the beginning, or the end."""
    suffix, content = any_seed(rng, seeds)
    place = int(rng.integers(len(content)))
    return suffix, content[:place] if rng.random() < 0.8 else content[place:]


def splice(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """Put a part of one file into another, or over it, or leave a part out."""
    suffix, content = any_seed(rng, seeds)
    _, other = any_seed(rng, seeds)
    start, end = sorted(rng.integers(len(other), size=2).tolist())
    part, place = other[start:end], int(rng.integers(len(content)))
    kept = content[place + len(part) * int(rng.integers(2)) :]
    return suffix, content[:place] + part * int(rng.integers(0, 3)) + kept


def write_extremes(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """Overwrite some bytes of the first or last two kilobytes with the largest or smallest."""
    suffix, content = any_seed(rng, seeds)
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        width = int(rng.choice([1, 2, 4, 8]))
        near = int(rng.integers(min(2048, len(data) - width)))
        place = near if rng.random() < 0.5 else len(data) - width - near
        data[place : place + width] = bytes([int(rng.choice([0, 0xFF, 0x7F, 0x80]))]) * width
    return suffix, bytes(data)
