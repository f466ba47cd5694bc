"""A part of a corpus that one of several runs works on, each for itself."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

WRITTEN: Final = re.compile(r"(\d{1,9})/(\d{1,9})")


@dataclass(frozen=True, kw_only=True, order=True)
class Shard:
    """One of equal parts of all videos, told apart by their ids alone.

    An id always belongs to the same shard, whatever other videos there are and in whichever order
    a stage plans them: so every stage of a run finds what its own shard has made before, and a new
    video moves no other.

    Attributes:
        number: From 1.
        of: How many there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Read ``3/64``, the third of 64.

        Raises:
            ValueError: It is written otherwise, or there is no such shard.
        """
        found = WRITTEN.fullmatch(text.strip())
        if found is None:
            raise ValueError("a shard is written as its number and how many there are, as in 3/64")
        number, of = map(int, found.groups())
        if not 1 <= number <= of:
            raise ValueError(f"shards are numbered from 1 to how many there are, which is {of}")
        return cls(number=number, of=of)

    def __contains__(self, video_id: str) -> bool:
        """Tell whether a video is of this shard."""
        mark = hashlib.sha256(video_id.encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(mark[:8]) % self.of == self.number - 1

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"
