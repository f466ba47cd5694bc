"""Removing posts from the files that people have."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tiktok_virality.datasets.forgetting import Forgotten, redact_texts
from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.datasets.post_formats import (
    delimiter_of,
    first_text,
    read_json,
    read_parquet,
    read_table,
    rows_of,
    texts_of,
)
from tiktok_virality.storage import Place, listed_below, near

INFO_SUFFIX: Final = ".info.json"


def forget_posts(
    path: Place, columns: Iterable[str], names: Forgotten, *, dry_run: bool = False
) -> int:
    """Rewrite a file of posts without some of them; return how many went.

    Other posts that mention them name an alias instead.

    Args:
        path: JSON, CSV or Parquet.
        columns: Tidy names of the columns that say whose a post is.
        names: Of videos and creators.
        dry_run: Only count.
    """
    columns = tuple(columns)
    rewrite = {".csv": _rewrite_csv, ".parquet": _rewrite_parquet}.get(path.suffix, _rewrite_json)
    content, removed = rewrite(path, columns, names)
    if content is not None and not dry_run:
        write_bytes_atomically(path, content)
    return removed


def forget_info_files(
    folder: Place, columns: Iterable[str], names: Forgotten, *, dry_run: bool = False
) -> int:
    """Remove the ``.info.json`` files of some videos; return how many went."""
    columns, removed = tuple(columns), 0
    for path in listed_below(folder, f"*{INFO_SUFFIX}"):
        post = read_json(path, as_text=False)
        named = path.name.removesuffix(INFO_SUFFIX) in names
        if named or (isinstance(post, dict) and speaks_of(post, columns, names)):
            removed += 1
            if not dry_run:
                path.unlink(missing_ok=True)
        elif not dry_run and (kept := _without_posts(post, columns, names)[0]) != post:
            write_bytes_atomically(path, _as_json(kept))
    return removed


def speaks_of(post: Mapping[str, Any], columns: Iterable[str], names: Forgotten) -> bool:
    """Tell whether a post is of one of the videos or creators."""
    texts = texts_of(post)
    values = (first_text(texts, (column,)) for column in columns)
    return any(
        value and (value in names or names.creator_is(value) or names.mentioned_in(value))
        for value in values
    )


Rewritten = tuple[bytes | None, int]
"""The new content of a file, ``None`` where it stays as it is, and how many posts it lost."""


def _as_json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=1) + "\n").encode()


def _rewrite_json(path: Place, columns: tuple[str, ...], names: Forgotten) -> Rewritten:
    content = read_json(path, as_text=False)
    kept, removed = _without_posts(content, columns, names)
    return (None if kept == content else _as_json(kept)), removed


def _without_posts(value: Any, columns: tuple[str, ...], names: Forgotten) -> tuple[Any, int]:
    """Return JSON without the posts in its lists, wherever they are, and how many went."""
    if isinstance(value, str):
        return names.redact(value), 0
    if isinstance(value, dict):
        parts = {key: _without_posts(part, columns, names) for key, part in value.items()}
        return {key: part for key, (part, _) in parts.items()}, sum(n for _, n in parts.values())
    if not isinstance(value, list):
        return value, 0
    left = [
        each for each in value if not (isinstance(each, dict) and speaks_of(each, columns, names))
    ]
    inner = [_without_posts(each, columns, names) for each in left]
    return [part for part, _ in inner], len(value) - len(left) + sum(n for _, n in inner)


def _rewrite_csv(path: Place, columns: tuple[str, ...], names: Forgotten) -> Rewritten:
    table = read_table(path)
    delimiter = delimiter_of(table)
    header, *rows = list(csv.reader(rows_of(table), delimiter=delimiter)) or [[]]
    left = [
        row for row in rows if not speaks_of(dict(zip(header, row, strict=False)), columns, names)
    ]
    kept = [[names.redact(text) for text in row] for row in left]
    if kept == rows:
        return None, 0
    text = io.StringIO(newline="")
    end = "\r\n" if "\r" in table else "\n"  # values with a part of it are quoted
    csv.writer(text, delimiter=delimiter, lineterminator=end).writerows([header, *kept])
    return text.getvalue().encode(), len(rows) - len(kept)


def _rewrite_parquet(path: Place, columns: tuple[str, ...], names: Forgotten) -> Rewritten:
    import pyarrow as pa
    import pyarrow.parquet as pq

    left = [not speaks_of(post, columns, names) for post in read_parquet(path)]
    table = pq.read_table(near(path))
    kept = redact_texts(table if all(left) else table.filter(pa.array(left)), names)
    if kept is table:
        return None, 0
    buffer = pa.BufferOutputStream()
    pq.write_table(kept, buffer)
    return buffer.getvalue().to_pybytes(), left.count(False)
