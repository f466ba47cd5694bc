"""Files in the published format as large as one likes, with what is true of each row."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

PUBLISHED_ROWS = 7_570
UNITS = {"K": 3, "M": 6, "B": 9}
MALFORMED = (
    *("1.2.3K", "12KB", "K", "1,23", "", "many", "-5", "-1.2K", "1.234.567", "1,5M", "nan"),
    *("999B", "12.5", "1.2345K", "2.11E+07", None, True),
)
SHARE_MALFORMED = 0.05
SHORTEST_ID, LONGEST_ID = 8, 19
FIRST_SECOND, LAST_SECOND = 1_546_300_800, 1_717_200_000  # 2019 to 2024


@dataclass(frozen=True)
class PublishedRow:
    """A row, and what must be read of it.

    Attributes:
        post: As it is in the file.
        views: ``None`` where the count is malformed.
        posted_second: Of the posting, since 1970; ``None`` where the id is too short to tell.
    """

    post: dict[str, object]
    views: int | None
    posted_second: int | None


def published_rows(count: int = PUBLISHED_ROWS, seed: int = 0) -> list[PublishedRow]:
    """Draw rows with counts in every unit, plain, grouped and malformed, and ids of any length."""
    rng = random.Random(seed)
    return [_row(rng) for _ in range(count)]


def write_published(folder: Path, rows: list[PublishedRow]) -> Path:
    """Write ``metadata.json``."""
    path = folder / "metadata.json"
    path.write_text(json.dumps([row.post for row in rows], indent=1))
    return path


def _row(rng: random.Random) -> PublishedRow:
    digits = rng.randint(SHORTEST_ID, LONGEST_ID)
    second = rng.randint(FIRST_SECOND, LAST_SECOND) if digits == LONGEST_ID else None
    number = (
        (second << 32) + rng.getrandbits(32)
        if second is not None
        else rng.randint(10 ** (digits - 1), 10**digits - 1)
    )
    text, views = _count(rng)
    address = f"https://www.tiktok.com/@user{rng.randrange(900)}/video/{number}"
    post = {"id": rng.choice([number, str(number)]), "url": address, "views": text}
    return PublishedRow(post=post, views=views, posted_second=second)


def _count(rng: random.Random) -> tuple[object, int | None]:
    """Return a count as it is written, made of whole numbers alone, and what it says."""
    if rng.random() < SHARE_MALFORMED:
        return rng.choice(MALFORMED), None
    unit = rng.choice(["", *UNITS])
    if not unit:
        plain = rng.randrange(10**7)
        return rng.choice([plain, str(plain), f"{plain:,}", f" {plain} "]), plain
    whole, tenth = rng.randrange(100 if unit == "B" else 1000), rng.randrange(10)
    if (whole, tenth) > (99, 0) and unit == "B":
        whole = 99
    letter = rng.choice([unit, unit.lower(), f" {unit}"])
    written = f"{whole}{letter}" if tenth == 0 else f"{whole}.{tenth}{letter}"
    return written, (10 * whole + tenth) * 10 ** (UNITS[unit] - 1)
