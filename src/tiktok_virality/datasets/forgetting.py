"""Removing videos from what is stored: the names to remove, and how tables and JSON lose them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from tiktok_virality.addresses import plain_creator
from tiktok_virality.datasets.forget_list import ForgetList
from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.storage import Place, near

if TYPE_CHECKING:
    import pyarrow as pa

KEY: Final = "video_id"
CREATOR_KEYS: Final = ("creator_id", "creator")
TELLING: Final = 8
"""An id of so many characters means the video wherever it stands; a shorter one may be a word, and
does only in quotes."""

NAMELESS: Final = "forgotten"
"""Stands for a creator in a spelling that has no alias of its own."""


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    """The names to be removed from every dataset.

    A creator may be called as a thing is: in a text, only ``@name`` means the creator. Names of
    creators are compared as the site does: ``@Name`` and ``name`` are one.

    Attributes:
        videos: What stands instead of each id in the rows of others, by id: ids as posts and as
            files have them.
        creators: The same for names of creators, as they are stored.
    """

    videos: Mapping[str, str]
    creators: Mapping[str, str]

    @classmethod
    def of(cls, videos: Iterable[str], creators: Iterable[str], known: ForgetList) -> Forgotten:
        """Give each name an alias that says nothing."""
        return cls(
            videos={name: f"forgotten-{known.hash_of(name)[:12]}" for name in videos},
            creators={
                name: f"forgotten-{known.hash_of(plain_creator(name))[:12]}" for name in creators
            },
        )

    def __contains__(self, name: object) -> bool:
        """Tell whether a key is that of a forgotten video or creator."""
        return name in self.videos or name in self.creators

    def creator_is(self, name: object) -> bool:
        """Tell whether a creator's name, however written, is that of a forgotten one."""
        return isinstance(name, str) and plain_creator(name) in self._plain

    def mentioned_in(self, text: str) -> bool:
        """Tell whether a text is the id of a video, or names a video or a creator."""
        return text in self.videos or self._pattern.search(text) is not None

    def redact(self, text: str) -> str:
        """Return the text with every name replaced."""
        if text in self.videos:
            return self.videos[text]
        return self._pattern.sub(lambda found: self._alias_of(found[0]), text)

    def _alias_of(self, found: str) -> str:
        return self.videos.get(found) or self._plain.get(plain_creator(found), NAMELESS)

    @cached_property
    def _plain(self) -> dict[str, str]:
        return {plain_creator(name): alias for name, alias in self.creators.items()}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        places = [_place_of_video(name) for name in _longest_first(self.videos)]
        places += [rf"(?<=@)(?i:{re.escape(name)})(?!\w)" for name in _longest_first(self._plain)]
        return re.compile("|".join(places) if places else r"(?!)")


def _longest_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=len, reverse=True)


def _place_of_video(name: str) -> str:
    if len(name) >= TELLING:
        return rf"(?<!\w){re.escape(name)}(?!\w)"
    return rf"(?<=['\"]){re.escape(name)}(?=['\"])"


@runtime_checkable
class Forgets(Protocol):
    """A dataset that can forget videos."""

    def forget(self, names: Forgotten, *, dry_run: bool = False) -> int:
        """Remove what it holds of some videos.

        Args:
            names: Of the videos, and of creators whose videos go.
            dry_run: Only count.

        Returns:
            How many entries were removed, or would be.
        """


def forget_rows(path: Place, names: Forgotten, *, dry_run: bool = False) -> int:
    """Rewrite a Parquet file without the rows of some videos; return how many there were.

    Texts of the other rows that name one of them name an alias instead.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.exists():
        return 0
    table = pq.read_table(near(path))
    keys = [name for name in (KEY, *CREATOR_KEYS) if name in table.schema.names]
    columns = [table.column(name).to_pylist() for name in keys]
    gone = [
        any(
            value in names or (key in CREATOR_KEYS and names.creator_is(value))
            for key, value in zip(keys, row, strict=True)
        )
        for row in zip(*columns, strict=True)
    ]
    kept = table.filter(pa.array([not each for each in gone])) if any(gone) else table
    kept = redact_texts(kept, names)
    if kept is not table and not dry_run:
        buffer = pa.BufferOutputStream()
        pq.write_table(kept, buffer, write_page_checksum=True)
        write_bytes_atomically(path, buffer.getvalue().to_pybytes())
    return sum(gone)


def redact_texts(table: pa.Table, names: Forgotten) -> pa.Table:
    """Return the table with every text redacted; the table itself where none had to be."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        if not (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
            continue
        texts = table.column(place).to_pylist()
        clean = [text if text is None else names.redact(text) for text in texts]
        if clean != texts:
            table = table.set_column(place, field, pa.array(clean, field.type))
    return table


def without(value: Any, names: Forgotten) -> tuple[Any, int]:
    """Return JSON without what is filed under one of the names, and how much that was.

    An entry of an object whose key is a name goes, and so does an object in a list whose
    ``video_id`` is one. Names in other texts are replaced.
    """
    if isinstance(value, str):
        return names.redact(value), 0
    if isinstance(value, dict):
        parts = {key: without(part, names) for key, part in value.items() if key not in names}
        removed = len(value) - len(parts)
        kept: Any = {key: part for key, (part, _) in parts.items()}
        return kept, removed + sum(count for _, count in parts.values())
    if isinstance(value, list):
        left = [each for each in value if not (isinstance(each, dict) and each.get(KEY) in names)]
        cleaned = [without(each, names) for each in left]
        removed = len(value) - len(left)
        return [part for part, _ in cleaned], removed + sum(count for _, count in cleaned)
    return value, 0


def forget_lines(path: Place, names: Forgotten, *, dry_run: bool = False) -> int:
    """Rewrite a text file without the lines that name a video; return how many there were."""
    if not path.exists():
        return 0
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [
        line
        for line in lines
        if not names.mentioned_in(line) and names.videos.keys().isdisjoint(line.split())
    ]
    if len(kept) < len(lines) and not dry_run:
        write_bytes_atomically(path, "".join(kept).encode())
    return len(lines) - len(kept)
