"""Columns of a source that were not read, though they look like one that is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pandas as pd

from tiktok_virality.addresses import creator_in_url

STEMS: Final[Mapping[str, tuple[str, ...]]] = {
    "views": ("view", "play"),
    "likes": ("like", "digg", "heart"),
    "comments": ("comment",),
    "shares": ("share", "repost"),
    "creator": ("author", "creator", "user", "uploader", "channel", "account", "handle"),
    "caption": ("desc", "caption", "text", "title"),
    "url": ("url", "link"),
    "posted_at": ("date", "time", "created", "posted", "published"),
    "hashtags": ("tag", "hashtag"),
}
"""How words begin that may name a column."""

ENDINGS: Final = (
    "url",
    "link",
    "views",
    "plays",
    "likes",
    "comments",
    "shares",
    "date",
    "time",
    "tags",
)
"""How a word in lower case may end that is made of several."""

OTHER_THINGS: Final = (
    *("music", "sound", "song", "track", "cover", "thumb", "avatar", "image", "picture", "photo"),
    *("subtitle", "fan", "follow", "friend", "signature", "bio", "verified", "private", "region"),
    *("location", "country", "lang", "zone", "duration", "height", "width", "size", "format"),
    *("http", "update", "modified", "captured", "scraped", "collected"),
)
"""How words begin that name what no column here holds, whatever stands beside them."""

NAMES_OF_PEOPLE: Final = ("uniqueid", "username", "handle", "name", "nickname", "nick", "id")
"""What a nested field is called that names a creator, the best first."""

ATTRIBUTE: Final = "overlooked columns"
"""Under which name a table's `attrs` tell what was overlooked; Parquet keeps them."""

SHOWN: Final = 3
WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")

Overlooked = dict[str, list[str]]
"""By column: names of the source that look like it, as the source writes them, the best first."""


def overlooked_columns(
    posts: Sequence[Mapping[str, str]],
    read: set[str],
    spellings: Mapping[str, str],
    table: pd.DataFrame,
) -> Overlooked:
    """Return names that were not read and look like a column that most posts lack.

    Args:
        posts: Values of the source under tidy names.
        read: Tidy names that were looked for.
        spellings: How the source writes each.
        table: What was read, one row per post.
    """
    unread = {name for post in posts for name in post} - read
    meant: dict[str, set[str]] = {}
    for name in unread:
        if column := column_like(spellings.get(name, name)):
            meant.setdefault(column, set()).add(name)
    missing = {column: _missing(table, column) for column in meant}
    found = {
        column: [name for name in names if _would_help(name, posts, missing[column])]
        for column, names in meant.items()
        if 2 * sum(missing[column]) > len(posts)
    }
    return {
        column: [spellings.get(name, name) for name in sorted(found[column], key=_rank)]
        for column in STEMS
        if found.get(column)
    }


def column_like(name: str) -> str | None:
    """Return the column that a name resembles by the last of its words, or ``None``."""
    words = [word.lower() for word in WORD.findall(name)]
    if any(word.startswith(OTHER_THINGS) for word in words):
        return None
    for word in reversed(words):
        for column, stems in STEMS.items():
            endings = tuple(end for end in ENDINGS if end.startswith(stems))
            if word.startswith(stems) or (endings and word.endswith(endings)):
                return column
    return None


def sentences(overlooked: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield what to do about each column, for the log and the dataset card."""
    for column, names in overlooked.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield (
            f"Most posts have no {column}, and the source has {', '.join(names[:SHOWN])}{more}, "
            f"which was not read. If it is meant, write `columns: {{{column}: {names[0]}}}` under "
            "`posts` in conf/local/globals.yml."
        )


def _missing(table: pd.DataFrame, column: str) -> list[bool]:
    missing = table[column].isna()
    if column == "creator":
        missing &= table["url"].map(creator_in_url, na_action="ignore").isna()
    return [bool(each) for each in missing]


def _would_help(name: str, posts: Sequence[Mapping[str, str]], missing: Sequence[bool]) -> bool:
    return any(lacks and name in post for post, lacks in zip(posts, missing, strict=True))


def _rank(name: str) -> tuple[int, str]:
    last = name.replace("/", ".").rpartition(".")[2].replace("_", "").lower()
    known = last in NAMES_OF_PEOPLE
    return NAMES_OF_PEOPLE.index(last) if known else len(NAMES_OF_PEOPLE), name
