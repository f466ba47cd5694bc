"""The forms in which people have posts: what they look like, and what their fields are called.

A form is the place of its posts in a file, and the name of each column there. Nested fields are
joined by dots, in lower case: ``authorMeta: {name: ann}`` is ``authormeta.name``, and so are the
headers ``authorMeta.name`` and ``authorMeta/name`` of a table that was made of such posts.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, get_args

from tiktok_virality.schema import DataError
from tiktok_virality.storage import Place, near

Post = dict[str, Any]
Posts = Sequence[Mapping[str, Any]]
Format = Literal["rows", "collector", "research_api", "info_json"]
FORMATS: Final = get_args(Format)
DELIMITERS: Final = (",", ";", "\t")
SURPLUS: Final = "values beyond the header"
WHOLE_FLOATS: Final = 2.0**53
"""Up to here a 64-bit float holds every whole number."""
LONGEST_FIELD: Final = 2**24
"""Characters of a value in a table: one that is longer has lost its closing quote."""
MOST_LEVELS: Final = 20
"""Of fields in fields; what lies deeper is left out."""

Names = Mapping[str, tuple[str, ...]]

ROWS: Final[dict[str, tuple[str, ...]]] = {
    "id": ("id", "video_id", "videoid", "aweme_id", "post_id", "postid", "item_id", "itemid"),
    "url": (
        *("webpage_url", "webvideourl", "web_video_url", "url", "link", "video_url"),
        *("share_url", "shareurl", "post_url", "posturl"),
    ),
    "views": (
        *("views", "view_count", "viewcount", "play_count", "playcount", "plays"),
        *("stats.playcount", "stats.play_count", "statsv2.playcount"),
        *("statistics.play_count", "statistics.playcount"),
    ),
    "likes": (
        *("likes", "like_count", "likecount", "digg_count", "diggcount"),
        *("stats.diggcount", "stats.digg_count", "statsv2.diggcount"),
        *("statistics.digg_count", "statistics.diggcount"),
    ),
    "comments": (
        *("comments", "comment_count", "commentcount"),
        *("stats.commentcount", "stats.comment_count", "statsv2.commentcount"),
        *("statistics.comment_count", "statistics.commentcount"),
    ),
    "shares": (
        *("shares", "share_count", "sharecount", "repost_count"),
        *("stats.sharecount", "stats.share_count", "statsv2.sharecount"),
        *("statistics.share_count", "statistics.sharecount"),
    ),
    "caption": ("caption", "description", "desc", "text", "video_description", "title"),
    "creator": (
        *("creator_id", "uploader", "author", "creator", "username", "channel"),
        *("author.uniqueid", "author.unique_id", "author.username", "author.name"),
        *("authormeta.name", "authormeta.username", "author_meta.name"),
        *("channel.username", "channel.name", "creator.username", "creator.uniqueid"),
        *("user.uniqueid", "user.unique_id", "user.username"),
        *("author_username", "authorusername", "author_unique_id", "authoruniqueid"),
        *("author_name", "authorname", "user_name", "uploader_id"),
    ),
    "posted_at": (
        *("posted_at", "postedat", "timestamp", "create_time", "createtime", "upload_date"),
        *("create_time_iso", "createtimeiso", "created_at", "createdat"),
        *("published_at", "publishedat", "uploaded_at", "uploadedat"),
    ),
    "captured_at": ("captured_at", "capture_time", "collected_at", "scraped_at", "epoch"),
    "hashtags": ("hashtags", "tags", "hashtag_names"),
    "topic": ("topic", "category"),
    "file": ("file", "file_name", "filename", "path"),
}
"""Columns of a loaded table, each with the names it may have in rows, the best first."""

NAMES: Final[Mapping[Format, Names]] = {
    "rows": ROWS,
    "collector": ROWS
    | {
        "id": ("id",),
        "url": ("webvideourl",),
        "views": ("playcount",),
        "likes": ("diggcount",),
        "comments": ("commentcount",),
        "shares": ("sharecount",),
        "caption": ("text",),
        "creator": ("authormeta.name",),
        "posted_at": ("createtime",),
        "hashtags": ("hashtags",),
    },
    "research_api": ROWS
    | {
        "id": ("id",),
        "views": ("view_count",),
        "likes": ("like_count",),
        "comments": ("comment_count",),
        "shares": ("share_count",),
        "caption": ("video_description",),
        "creator": ("username",),
        "posted_at": ("create_time",),
        "hashtags": ("hashtag_names",),
    },
    "info_json": ROWS
    | {
        "url": ("webpage_url",),
        "views": ("view_count",),
        "likes": ("like_count",),
        "comments": ("comment_count",),
        "shares": ("repost_count", "share_count"),
        "caption": ("description", "title"),
        "creator": ("creator_id", "uploader", "uploader_id", "channel"),
        "posted_at": ("timestamp", "upload_date"),
        "captured_at": ("capture_time", "epoch"),
        "hashtags": ("hashtags", "tags"),
        "topic": ("topic",),
    },
}
"""What each form calls the columns of `ROWS`."""


def recognise(content: Any, source: Place) -> tuple[Format, list[Post]]:
    """Return the form of parsed JSON, and its posts.

    Raises:
        DataError: It has none of the forms.
    """
    if isinstance(content, dict):
        if isinstance(content.get("collector"), list):
            return "collector", _objects(content["collector"], source)
        if _is_response(content):
            return "research_api", _objects(content["data"]["videos"], source)
    elif isinstance(content, list):
        if content and all(_is_response(part) for part in content):
            videos = [video for part in content for video in part["data"]["videos"]]
            return "research_api", _objects(videos, source)
        posts = _objects(content, source)
        return form_of(posts), posts
    raise DataError(
        f'{source} must hold a list of posts, such as [{{"id": "7106", "views": "21.1M"}}], an '
        'object with a list "collector", or responses of the Research API with "data.videos".'
    )


def form_of(posts: Posts) -> Format:
    """Return the form whose names are those of the most columns of some posts; in doubt, rows."""
    found = {name for post in posts for name in texts_of(post)}
    known = {
        form: sum(not found.isdisjoint(names[column]) for column in ROWS)
        for form, names in NAMES.items()
    }
    return max(NAMES, key=lambda form: (known[form], form == "rows"))


def _is_response(content: Any) -> bool:
    data = content.get("data") if isinstance(content, dict) else None
    return isinstance(data, dict) and isinstance(data.get("videos"), list)


def _objects(posts: list[Any], source: Place) -> list[Post]:
    for number, post in enumerate(posts, start=1):
        if not isinstance(post, dict):
            raise DataError(
                f"{source} must hold a list of posts, each an object; number {number} is "
                f"{json.dumps(post)[:60]}."
            )
    return posts


def read_json(path: Place, *, as_text: bool = True) -> Any:
    """Parse a file, with every number as text: a 19-digit id must not become a float.

    Args:
        path: The file.
        as_text: ``False`` leaves numbers what they are, to write them again.

    Raises:
        DataError: It is no JSON; the message gives the place.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if not as_text:
            return json.loads(text)
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise DataError(f"{path} is not valid JSON: {error}. Correct the file.") from error


def read_csv(path: Place) -> list[Post]:
    """Read a table whose values are divided by commas, semicolons or tabs, as text.

    Raises:
        DataError: It is not UTF-8, or no such table.
    """
    csv.field_size_limit(LONGEST_FIELD)
    try:
        text = read_table(path)
        return list(csv.DictReader(rows_of(text), delimiter=delimiter_of(text), restkey=SURPLUS))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}. Save it as CSV in UTF-8.") from error


def read_table(path: Place) -> str:
    """Return the text of a table with its line ends as they are: some are in quoted values."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return file.read()


def rows_of(text: str) -> io.StringIO:
    """Return a table's text for the csv module, which alone decides where a row ends.

    A caption may hold U+2028, U+0085, or a form feed: `str.splitlines` would cut its row there.
    """
    return io.StringIO(text, newline="")


def delimiter_of(text: str) -> str:
    """Return what divides the values of a table, by its header."""
    return max(DELIMITERS, key=rows_of(text).readline().count)


def read_parquet(path: Place) -> list[Post]:
    """Read a table with every whole number as its digits.

    A float holds 15 of the 19 digits of an id: beyond them, an id is given as a spreadsheet would
    (``7.301e+18``), so that the whole one is taken from the address, or the rounding is named.

    Raises:
        DataError: It is no Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(near(path))
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error
    rounded = [
        field.name
        for field in table.schema
        if pa.types.is_floating(field.type) and tidy(field.name) in ROWS["id"]
    ]
    return [row | {name: _float_id(row[name]) for name in rounded} for row in table.to_pylist()]


def _float_id(value: float | None) -> str | None:
    if value is None or not math.isfinite(value):
        return None
    return f"{value:.0f}" if abs(value) < WHOLE_FLOATS else f"{value:.15e}"


READERS: Final[Mapping[str, Callable[[Place], list[Post]]]] = {
    ".csv": read_csv,
    ".parquet": read_parquet,
}
"""By suffix: tables, whose posts are rows."""


def tidy(name: str) -> str:
    """Return the name of a column as it is compared."""
    return characters(name).strip().lower().replace(" ", "_").replace("/", ".")


def characters(value: object) -> str:
    """Return a value as text that can be stored: JSON can hold half of a character."""
    return str(value).encode("utf-8", "replace").decode()


def texts_of(post: Mapping[str, Any]) -> dict[str, str]:
    """Return a post's values as text under tidy names; nested fields are joined by dots."""
    return dict(_flat(post, ""))


def spellings_of(post: Mapping[str, Any], above: str = "") -> dict[str, str]:
    """Return how the source writes each tidy name; nested fields are joined by dots."""
    names: dict[str, str] = {}
    for name, value in post.items():
        full = above + characters(name).strip()
        if not isinstance(value, dict):
            names[tidy(full)] = full
        elif full.count(".") < MOST_LEVELS:
            names |= spellings_of(value, full + ".")
    return names


def _flat(post: Mapping[str, Any], above: str) -> Iterator[tuple[str, str]]:
    for name, value in post.items():
        full = above + tidy(name)
        if isinstance(value, dict):
            if full.count(".") < MOST_LEVELS:
                yield from _flat(value, full + ".")
        elif (text := _text(value)) is not None:
            yield full, text


def _text(value: Any) -> str | None:
    """Return a value as text; lists of words, or of things with a name, are joined by spaces."""
    if isinstance(value, list | tuple):
        words = [each.get("name") if isinstance(each, dict) else each for each in value]
        value = " ".join(str(word) for word in words if word)
    elif isinstance(value, float):
        value = "" if math.isnan(value) else int(value) if value.is_integer() else value
    elif hasattr(value, "isoformat"):
        value = value.isoformat()
    text = "" if value is None else characters(value).strip()
    return text or None


def first_text(post: Mapping[str, str], names: Iterable[str]) -> str | None:
    """Return the value of the first of these names that is there."""
    return next((post[name] for name in names if name in post), None)
