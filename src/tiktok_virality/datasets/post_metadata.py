"""What is known about the posts, in any of the forms in which people have it."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from tiktok_virality.datasets import post_formats
from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.datasets.overlooked_columns import (
    ATTRIBUTE,
    overlooked_columns,
    sentences,
)
from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.datasets.post_forgetting import forget_info_files, forget_posts
from tiktok_virality.datasets.post_formats import NAMES, READERS, ROWS, Format, Names, Post
from tiktok_virality.schema import DataError
from tiktok_virality.storage import Place, below, listed_below, place_at

logger = logging.getLogger(__name__)

NAMED_BY: Final = ("id", "url", "creator", "file")
"""Columns that say whose a post is."""

INFO_JSON: Final = "info.json"
INFO_SUFFIX: Final = ".info.json"
FILES: Final = ("metadata.json", "metadata.csv", "metadata.parquet", "trending.json")
"""Where posts are looked for, in this order; then in the ``.info.json`` files."""


class PostMetadata(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """One row per post, every value as text, as found.

    Looks in a folder for ``metadata.json``, ``metadata.csv``, ``metadata.parquet``,
    ``trending.json``, and the ``.info.json`` files that yt-dlp writes beside its videos; the first
    that is there is taken. What a JSON file holds is recognised: a list of posts such as
    ``{"id": "7106", "url": ..., "views": "21.1M"}`` or as scrapers export it, an object with a list
    ``collector``, or responses of TikTok's Research API.

    Args:
        filepath: The folder, such as ``data/01_raw``.
        source: A file in it, or ``info.json``; ``None`` takes the first that is there.
        format: Of a JSON file: one of `FORMATS`; ``None`` recognises it.
        columns: Which name in the source each column has, where it is none of the usual ones:
            ``{"views": "Plays", "creator": "author.handle"}``.
        before_posting: Whether it is of clips that nobody has watched yet: it needs no views, and
            where there is no metadata there are no posts.
        credentials: Of a place in a bucket; see `storage`.
        metadata: For Kedro plugins.

    Raises:
        DatasetError: There is no such column or format; the message names those there are.
    """

    def __init__(
        self,
        *,
        filepath: str,
        source: str | None = None,
        format: Format | None = None,
        columns: Mapping[str, str] | None = None,
        before_posting: bool = False,
        credentials: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._folder = place_at(filepath, credentials)
        self._source = source
        self._format = format
        self._before_posting = before_posting
        self._columns = {
            name: post_formats.tidy(theirs) for name, theirs in (columns or {}).items()
        }
        self.metadata = metadata
        unknown = sorted(set(self._columns) - set(ROWS))
        if unknown:
            raise DatasetError(
                f"`columns` of the post metadata names {', '.join(unknown)}; there are "
                f"{', '.join(ROWS)}."
            )
        if format is not None and format not in NAMES:
            raise DatasetError(
                f"`format` of the post metadata is {format!r}; there are {', '.join(NAMES)}."
            )

    @property
    def _filepath(self) -> Place:
        return self._folder / FILES[0]

    def load(self) -> pd.DataFrame:
        """Return the posts with the columns of `ROWS`; what a source lacks is missing.

        Columns of the source that look like one that is missing are named in the log, and in the
        ``attrs`` of the table, for the dataset card.

        Raises:
            DataError: There is no metadata, or it cannot be read; the message says what to do.
        """
        available = self._available()
        if not available and self._before_posting:
            return pd.DataFrame(columns=list(ROWS), dtype="str")
        if not available:
            raise DataError(self._what_is_missing())
        if len(available) > 1:
            logger.info("%s holds %s; taking %s", self._folder, ", ".join(available), available[0])
        found, posts = self._read(available[0])
        source = self._folder / available[0]
        counted = () if self._before_posting else ("views",)
        table = _to_table(posts, self._names(found), source, self._columns, counted)
        if overlooked := table.attrs[ATTRIBUTE]:
            logger.warning("%s: %s", source, " ".join(sentences(overlooked)))
        return table

    def save(self, data: pd.DataFrame) -> None:
        """Write ``metadata.json`` in the published form; missing values are left out."""
        records = [
            {name: value for name, value in record.items() if not _is_missing(value)}
            for record in data.to_dict("records")
        ]
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(records, ensure_ascii=False, indent=1, default=str)
        write_bytes_atomically(self._filepath, f"{text}\n".encode())

    def forget(self, names: Forgotten, *, dry_run: bool = False) -> int:
        """Remove posts from every source in the folder, those that are not read among them."""
        theirs = [name for column in NAMED_BY for name in self._all_names(column)]
        sources = {self._folder / name for name in (*FILES, self._source or FILES[0])}
        removed = sum(
            forget_posts(path, theirs, names, dry_run=dry_run)
            for path in sorted(sources)
            if path.is_file()
        )
        return removed + forget_info_files(self._folder, theirs, names, dry_run=dry_run)

    def _all_names(self, column: str) -> set[str]:
        names = {name for form in NAMES.values() for name in form[column]}
        return names | ({self._columns[column]} if column in self._columns else set())

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first posts, for Kedro-Viz."""
        return TablePreview(json.loads(self.load().head(nrows).to_json(orient="split")))

    def _exists(self) -> bool:
        return bool(self._available())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "source": self._source}

    def _names(self, found: Format) -> Names:
        return {**NAMES[found], **{name: (theirs,) for name, theirs in self._columns.items()}}

    def _read(self, source: str) -> tuple[Format, list[Post]]:
        path = self._folder / source
        if source == INFO_JSON:
            return "info_json", read_info_files(self._folder)
        if path.suffix in READERS:
            return "rows", READERS[path.suffix](path)
        recognised, posts = post_formats.recognise(post_formats.read_json(path), path)
        return self._format or recognised, posts

    def _available(self) -> list[str]:
        wanted = (*FILES, INFO_JSON) if self._source is None else (self._source,)
        return [source for source in wanted if self._holds(source)]

    def _holds(self, source: str) -> bool:
        if source == INFO_JSON:
            return next(self._folder.rglob(f"*{INFO_SUFFIX}"), None) is not None
        return (self._folder / source).is_file()

    def _what_is_missing(self) -> str:
        sought = self._source or f"{', '.join(FILES)}, or .info.json files of yt-dlp"
        return (
            f"No post metadata in {self._folder.absolute()}: looked for {sought}. Put a "
            'metadata.json there, a list such as [{"id": "7106594312292453675", "url": "https://'
            '...", "views": "21.1M"}], or a metadata.csv with the columns id and views; the '
            "videos go into the folder videos beside it, each named after its id."
        )


def read_info_files(folder: Place) -> list[Post]:
    """Read one post per file; the video is the one beside it with the same name.

    Raises:
        DataError: A file is no JSON object.
    """
    posts = []
    for path in listed_below(folder, f"*{INFO_SUFFIX}"):
        post = post_formats.read_json(path)
        if not isinstance(post, dict):
            raise DataError(f"{path} must hold one object, as yt-dlp writes it. Delete the file.")
        if post.get("_type", "video") == "video":
            name = below(path, folder).as_posix().removesuffix(INFO_SUFFIX)
            posts.append({**post, "file": name})
    return posts


def _to_table(
    posts: list[Post],
    names: Names,
    source: Place,
    mapped: Mapping[str, str],
    counted: Sequence[str],
) -> pd.DataFrame:
    """Bring the posts under the names of `ROWS`, every value as text or missing.

    Raises:
        DataError: No post has a name for what is counted, or none for an id, a file or an address,
            or a name that the user mapped is nowhere.
    """
    texts = [post_formats.texts_of(post) for post in posts]
    found = {name for post in texts for name in post}
    seen = found | {post_formats.tidy(name) for post in posts for name in post}
    needed = [*((column,) for column in (*mapped, *counted)), ("id", "file", "url")]
    for alternatives in needed:
        sought = [name for column in alternatives for name in names[column]]
        if posts and not seen.intersection(sought):
            raise DataError(
                f"{source} has no {' or '.join(alternatives)} column: looked for "
                f"{', '.join(sought)}; found {', '.join(sorted(seen)) or 'nothing'}. If it has "
                f"another name, write `columns: {{{alternatives[0]}: that name}}` under `posts` in "
                "conf/local/globals.yml."
            )
    columns = {
        column: [post_formats.first_text(post, names[column]) for post in texts] for column in ROWS
    }
    table = pd.DataFrame(columns, dtype="str")
    read = {name for column in ROWS for name in names[column]}
    spellings = {
        name: theirs for post in posts for name, theirs in post_formats.spellings_of(post).items()
    }
    table.attrs[ATTRIBUTE] = overlooked_columns(texts, read, spellings, table)
    return table


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or value != value
