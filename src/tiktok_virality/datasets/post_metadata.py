"""What is known about the posts, in any of the forms in which people have it."""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from tiktok_virality.schema import DataError

logger = logging.getLogger(__name__)

Posts = Sequence[Mapping[str, Any]]
Source = Literal["metadata.json", "metadata.csv", "info.json"]
INFO_SUFFIX: Final = ".info.json"
DELIMITERS: Final = (",", ";", "\t")
SURPLUS: Final = "values beyond the header"

COLUMN_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("id", "video_id", "aweme_id"),
    "url": ("webpage_url", "url", "link", "video_url"),
    "views": ("views", "view_count", "play_count", "playcount", "plays"),
    "caption": ("caption", "description", "desc", "text", "title"),
    "creator": ("creator_id", "uploader", "author", "creator", "username", "channel"),
    "posted_at": ("posted_at", "timestamp", "create_time", "createtime", "upload_date"),
    "captured_at": ("captured_at", "collected_at", "scraped_at", "epoch"),
    "hashtags": ("hashtags", "tags"),
    "file": ("file", "file_name", "filename", "path"),
}
"""Columns of a loaded table, each with the names it may have in a source, the best first."""


class PostMetadata(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """One row per post, every value as text, as found.

    Looks in a folder for ``metadata.json`` (a list of objects such as
    ``{"id": "7106", "url": ..., "views": "21.1M"}``), ``metadata.csv``, and the ``.info.json``
    files that yt-dlp writes beside its videos; the first that is there is taken.

    Args:
        filepath: The folder, such as ``data/01_raw``.
        source: Which of the three to take; ``None`` takes the first that is there.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        source: Source | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._folder = Path(filepath)
        self._source = source
        self.metadata = metadata

    @property
    def _filepath(self) -> Path:
        return self._folder / "metadata.json"

    def load(self) -> pd.DataFrame:
        """Return the posts with the columns of `COLUMN_NAMES`; what a source lacks is missing.

        Raises:
            DataError: There is no metadata, or it cannot be read; the message says what to do.
        """
        available = self._available()
        if not available:
            raise DataError(self._what_is_missing())
        if len(available) > 1:
            logger.info("%s holds %s; taking %s", self._folder, ", ".join(available), available[0])
        return _to_table(READERS[available[0]](self._folder), self._folder / available[0])

    def save(self, data: pd.DataFrame) -> None:
        """Write ``metadata.json`` in the published form; missing values are left out."""
        records = [
            {name: value for name, value in record.items() if not _is_missing(value)}
            for record in data.to_dict("records")
        ]
        self._folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(records, ensure_ascii=False, indent=1, default=str)
        temporary = self._filepath.with_suffix(".json.tmp")
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(self._filepath)

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first posts, for Kedro-Viz."""
        return TablePreview(json.loads(self.load().head(nrows).to_json(orient="split")))

    def _exists(self) -> bool:
        return bool(self._available())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "source": self._source}

    def _available(self) -> list[Source]:
        present: dict[Source, bool] = {
            "metadata.json": (self._folder / "metadata.json").is_file(),
            "metadata.csv": (self._folder / "metadata.csv").is_file(),
            "info.json": next(self._folder.rglob(f"*{INFO_SUFFIX}"), None) is not None,
        }
        wanted = present if self._source is None else [self._source]
        return [source for source in wanted if present[source]]

    def _what_is_missing(self) -> str:
        sought = self._source or "metadata.json, metadata.csv, or .info.json files of yt-dlp"
        return (
            f"No post metadata in {self._folder.absolute()}: looked for {sought}. Put a "
            'metadata.json there, a list such as [{"id": "7106594312292453675", "url": "https://'
            '...", "views": "21.1M"}], or a metadata.csv with the columns id and views; the '
            "videos go into the folder videos beside it, each named after its id."
        )


def _read_json(folder: Path) -> Posts:
    path = folder / "metadata.json"
    posts = _parse_json(path)
    if not isinstance(posts, list) or not all(isinstance(post, dict) for post in posts):
        raise DataError(
            f'{path} must hold a list of posts, such as [{{"id": "7106", "views": "21.1M"}}].'
        )
    return posts


def _read_csv(folder: Path) -> Posts:
    path = folder / "metadata.csv"
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
        header = lines[0] if lines else ""
        delimiter = max(DELIMITERS, key=header.count)
        return list(csv.DictReader(lines, delimiter=delimiter, restkey=SURPLUS))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}. Save it as CSV in UTF-8.") from error


def _read_info_files(folder: Path) -> Posts:
    """Read one post per file; the video is the one beside it with the same name."""
    posts = []
    for path in sorted(folder.rglob(f"*{INFO_SUFFIX}")):
        post = _parse_json(path)
        if not isinstance(post, dict):
            raise DataError(f"{path} must hold one object, as yt-dlp writes it. Delete the file.")
        if post.get("_type", "video") == "video":
            name = path.relative_to(folder).as_posix().removesuffix(INFO_SUFFIX)
            posts.append({**post, "file": name})
    return posts


READERS: Final[Mapping[Source, Callable[[Path], Posts]]] = {
    "metadata.json": _read_json,
    "metadata.csv": _read_csv,
    "info.json": _read_info_files,
}


def _parse_json(path: Path) -> Any:
    """Parse a file with every number as text: a 19-digit id must not become a float.

    Raises:
        DataError: It is no JSON; the message gives the place.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"), parse_int=str, parse_float=str)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} is not valid JSON: {error}. Correct the file.") from error


def _to_table(posts: Posts, source: Path) -> pd.DataFrame:
    """Bring the posts under the names of `COLUMN_NAMES`, every value as text or missing.

    Raises:
        DataError: No post has a name for its views, or neither an id nor a file.
    """
    tidy = [{_tidy(name): value for name, value in post.items()} for post in posts]
    found = {name for post in tidy for name in post}
    for alternatives in (("views",), ("id", "file")):
        names = [name for column in alternatives for name in COLUMN_NAMES[column]]
        if posts and not found.intersection(names):
            raise DataError(
                f"{source} has no {' or '.join(alternatives)} column: looked for "
                f"{', '.join(names)}; found {', '.join(sorted(found)) or 'nothing'}."
            )
    columns = {
        column: [_first_text(post, names) for post in tidy]
        for column, names in COLUMN_NAMES.items()
    }
    return pd.DataFrame(columns, dtype="str")


def _tidy(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _first_text(post: Mapping[str, Any], names: Iterable[str]) -> str | None:
    """Return the first value that is there, as text; lists of words are joined by spaces."""
    for name in names:
        value = post.get(name)
        if isinstance(value, list):
            value = " ".join(str(word) for word in value)
        if value is not None and not isinstance(value, dict) and str(value).strip():
            return str(value).strip()
    return None


def _is_missing(value: Any) -> bool:
    return value is None or value is pd.NaT or value is pd.NA or value != value
