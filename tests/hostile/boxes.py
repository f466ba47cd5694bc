"""The boxes of mp4 and mov files (ISO 14496-12), taken apart and put together wrongly."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

PARENTS = frozenset(
    b"moov trak mdia minf stbl dinf edts udta moof traf mvex mfra".split()  # what holds boxes alone
)


@dataclass
class Box:
    """A box: its kind, and its content or the boxes in it.

    Attributes:
        kind: Four letters.
        content: What follows the head, of a box that holds no boxes.
        boxes: What it holds, of one that does.
        says: Its size as the head gives it; ``None`` is the truth.
    """

    kind: bytes
    content: bytes = b""
    boxes: list[Box] = field(default_factory=list)
    says: int | None = None

    def pack(self) -> bytes:
        inside = self.content + b"".join(box.pack() for box in self.boxes)
        size = 8 + len(inside) if self.says is None else self.says
        if size < 2**32:
            return struct.pack(">I4s", size, self.kind) + inside
        return struct.pack(">I4sQ", 1, self.kind, size) + inside

    def walk(self) -> Iterator[Box]:
        yield self
        for box in self.boxes:
            yield from box.walk()


@dataclass
class Movie:
    """A whole file."""

    boxes: list[Box]

    @classmethod
    def of(cls, content: bytes) -> Movie:
        return cls(list(_boxes(content)))

    def pack(self) -> bytes:
        return b"".join(box.pack() for box in self.boxes)

    def all(self, *kinds: bytes) -> list[Box]:
        """Return the boxes of these kinds, or all of them, in the order of the file."""
        found = [box for each in self.boxes for box in each.walk()]
        return [box for box in found if not kinds or box.kind in kinds]

    def one(self, kind: bytes) -> Box:
        return self.all(kind)[0]


def full_box(kind: bytes, *numbers: int, rest: bytes = b"") -> Box:
    """Return a box of version 0 without flags that holds 32-bit numbers."""
    numbered = b"".join(struct.pack(">I", number & 0xFFFFFFFF) for number in numbers)
    return Box(kind, b"\0\0\0\0" + numbered + rest)


def _boxes(content: bytes) -> Iterator[Box]:
    place = 0
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", content, place + 8)
            head = 16
        end = len(content) if size < head else min(place + size, len(content))
        inside = content[place + head : end]
        yield Box(kind, b"", list(_boxes(inside))) if kind in PARENTS else Box(kind, inside)
        place = end
