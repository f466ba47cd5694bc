"""A growing collection: videos with their records, and append-only notes of all that happened."""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import singledispatchmethod
from pathlib import Path
from typing import Any, Final

import pandas as pd
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview
from pydantic import SecretStr, ValidationError

from tiktok_virality.collection.config import UNFINISHED_FOLDER, SiteAccess
from tiktok_virality.collection.ledger import (
    CollectedVideo,
    CollectionEvent,
    CollectionState,
    CountSnapshot,
    FailedVideo,
    FoundVideo,
    Step,
)
from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.schema import ParameterError, StorageError, faults_in_words
from tiktok_virality.storage import ObjectPath, Place, place_at

logger = logging.getLogger(__name__)

FOUND_NAME: Final = "found_videos.jsonl"
SNAPSHOTS_NAME: Final = "count_snapshots.jsonl"
FAILURES_NAME: Final = "failed_videos.jsonl"
ARCHIVE_NAME: Final = "archive.txt"
ARCHIVE_PREFIX: Final = "tiktok "
"""yt-dlp's own form, so that its ``--download-archive`` can take the file."""

FAILED_OFTEN: Final = 3
"""A video that failed so often is not asked for again, whatever the reason."""

Events = CollectionEvent | Sequence[CollectionEvent]


class CollectionFolder(AbstractDataset[Events, CollectionState]):
    """Where collected videos go, and what is noted beside them.

    A video gets its final name last, after its record and its first count are written, so that
    a run that is killed leaves no half file and no video without a record. Notes are only ever
    appended to.

    Args:
        filepath: Folder of the notes.
        path: Folder of the videos.
        credentials: Of a place in a bucket; see `storage`.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        path: str,
        credentials: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._at = place_at(path, credentials)
        self._notes = Path(filepath)
        self._videos = Path(path)
        self.metadata = metadata

    def load(self) -> CollectionState:
        """Return what earlier runs have left; nothing where there was none.

        Raises:
            StorageError: The folder is in a bucket: downloads go on where they were broken off,
                and notes are appended to, neither of which an object can.
        """
        if isinstance(self._at, ObjectPath):
            raise StorageError(
                f"Videos cannot be collected into {self._at}: notes are appended to, and an object "
                "cannot be. Collect with `data` on a disk, and put the folder there afterwards."
            )
        found = [FoundVideo(**row) for row in read_lines(self._notes / FOUND_NAME)]
        failures = [FailedVideo(**row) for row in read_lines(self._notes / FAILURES_NAME)]
        return CollectionState(
            folder=self._videos,
            found={link.video_id: link for link in _first_of_each(found)},
            held=frozenset(path.stem for path in self._videos.glob("*.mp4")),
            archived=frozenset(_archived(self._notes / ARCHIVE_NAME)),
            given_up=frozenset(_given_up(failures)),
            last_counted=_last_counted(read_lines(self._notes / SNAPSHOTS_NAME)),
        )

    def save(self, data: Events) -> None:
        """Store what happened; a kill between two calls loses nothing."""
        events = data if isinstance(data, Sequence) else [data]
        for event in events:
            self._store(event)

    @singledispatchmethod
    def _store(self, event: CollectionEvent) -> None:
        raise TypeError(f"{type(event).__name__} is not an event of a collection")

    @_store.register
    def _(self, event: FoundVideo) -> None:
        append_line(self._notes / FOUND_NAME, asdict(event))

    @_store.register
    def _(self, event: CountSnapshot) -> None:
        append_line(self._notes / SNAPSHOTS_NAME, asdict(event))

    @_store.register
    def _(self, event: FailedVideo) -> None:
        append_line(self._notes / FAILURES_NAME, asdict(event))

    @_store.register
    def _(self, event: CollectedVideo) -> None:
        self._videos.mkdir(parents=True, exist_ok=True)
        text = json.dumps(event.record, ensure_ascii=False, indent=1)
        record = self._videos / f"{event.video_id}.info.json"
        write_bytes_atomically(record, text.encode() + b"\n")
        append_line(self._notes / SNAPSHOTS_NAME, asdict(event.counts))
        event.path.replace(self._videos / f"{event.video_id}.mp4")
        append_text(self._notes / ARCHIVE_NAME, f"{ARCHIVE_PREFIX}{event.video_id}\n")

    def _exists(self) -> bool:
        return (self._notes / FOUND_NAME).is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._notes), "path": str(self._videos)}


class JsonLines(AbstractDataset[pd.DataFrame, pd.DataFrame]):
    """A table of which every row is a line of JSON; what is saved is appended.

    Args:
        filepath: The file.
        columns: Columns of the table where the file is missing or empty.
        credentials: Of a place in a bucket; see `storage`.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        columns: Sequence[str],
        credentials: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath = place_at(filepath, credentials)
        self._columns = list(columns)
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Return all rows; none where there is no file."""
        return pd.DataFrame(list(read_lines(self._filepath)), columns=self._columns)

    def save(self, data: pd.DataFrame) -> None:
        """Append rows."""
        for row in data.to_dict("records"):
            append_line(self._filepath, {str(key): value for key, value in row.items()})

    def forget(self, names: Container[str], *, dry_run: bool = False) -> int:
        """Remove the rows of some videos; return how many there were."""
        return _rewrite(self._filepath, lambda line: _id_in_json(line) in names, dry_run=dry_run)

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the last rows, for Kedro-Viz."""
        return TablePreview(json.loads(self.load().tail(nrows).to_json(orient="split")))

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class DownloadArchive(AbstractDataset[None, list[str]]):
    """The ids of all videos that were ever downloaded; `CollectionFolder` adds to them.

    Args:
        filepath: The file, in yt-dlp's form.
        path: Folder of the videos, with the parts of those that are not finished.
        credentials: Of a place in a bucket; see `storage`.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        path: str,
        credentials: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath = place_at(filepath, credentials)
        self._unfinished = place_at(path, credentials) / UNFINISHED_FOLDER
        self.metadata = metadata

    def load(self) -> list[str]:
        """Return the ids."""
        return list(_archived(self._filepath))

    def save(self, data: None) -> None:
        """Only a collection adds to it."""
        raise NotImplementedError("The archive is written by a collection.")

    def forget(self, names: Container[str], *, dry_run: bool = False) -> int:
        """Remove some ids and the parts of their files; return how many there were."""
        parts = [path for path in self._unfinished.glob("*") if path.name.split(".")[0] in names]
        if not dry_run:
            for part in parts:
                part.unlink()
        lines = _rewrite(self._filepath, lambda line: _archived_id(line) in names, dry_run=dry_run)
        return lines + len(parts)

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class SiteCredentials(AbstractDataset[None, SiteAccess]):
    """What gives access to a site: proxy, cookies, and the key of the creators' hashes.

    Args:
        filepath: Where a random key is made and kept if the credentials give none. It lies away
            from the data: whoever has both can test names.
        credentials: ``proxy``, ``cookies_file`` and ``creator_key``, each of which may be missing.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        credentials: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._key_file = Path(filepath)
        self._credentials = dict(credentials or {})
        self.metadata = metadata

    def load(self) -> SiteAccess:
        """Return the credentials, with a key.

        Raises:
            ParameterError: There is no such credential, or it is not of the right kind.
        """
        given = {key: value for key, value in self._credentials.items() if value is not None}
        key = given.pop("creator_key", None) or self._kept_key()
        try:
            return SiteAccess(creator_key=SecretStr(str(key)), **given)
        except ValidationError as error:
            raise ParameterError(
                "Wrong credentials 'collection' in conf/local/credentials.yml: "
                f"{faults_in_words(error)}. There are proxy, cookies_file and creator_key."
            ) from None

    def save(self, data: None) -> None:
        """Credentials are written by hand."""
        raise NotImplementedError("Write credentials into conf/local/credentials.yml.")

    def _kept_key(self) -> str:
        if not self._key_file.exists():
            self._key_file.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(self._key_file, flags, mode=0o600), "w") as file:
                file.write(secrets.token_hex(32) + "\n")
            logger.info("Made a key for the hashes of creators' names: %s", self._key_file)
        return self._key_file.read_text().strip()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._key_file)}


def read_lines(path: Place) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file of JSON lines; a last line that a crash cut off does not count."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                logger.warning("%s: line %d is cut off and does not count", path, number)


def append_line(path: Place, row: Mapping[str, Any]) -> None:
    """Append a row to a file of JSON lines."""
    append_text(path, json.dumps(row, ensure_ascii=False) + "\n")


def append_text(path: Place, text: str) -> None:
    """Append whole lines by one write, on a line of their own even after a crash.

    An object is put anew with them.
    """
    if isinstance(path, ObjectPath):
        before = path.read_bytes() if path.is_file() else b""
        path.write_bytes(before + text.encode())
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if file.tell() and not _ends_a_line(file.fileno()):
            text = "\n" + text
        os.write(file.fileno(), text.encode())
        os.fsync(file.fileno())


def _rewrite(path: Place, is_gone: Callable[[str], bool], *, dry_run: bool) -> int:
    """Rewrite a file without some lines; return how many there were."""
    if not path.is_file():
        return 0
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not is_gone(line)]
    if len(kept) < len(lines) and not dry_run:
        write_bytes_atomically(path, "".join(f"{line}\n" for line in kept).encode())
    return len(lines) - len(kept)


def _id_in_json(line: str) -> str:
    try:
        return json.loads(line)["video_id"]
    except json.JSONDecodeError:  # cut off by a crash
        return ""


def _ends_a_line(descriptor: int) -> bool:
    return os.pread(descriptor, 1, os.fstat(descriptor).st_size - 1) == b"\n"


def _first_of_each(found: Iterable[FoundVideo]) -> Iterator[FoundVideo]:
    seen: set[str] = set()
    for link in found:
        if link.video_id not in seen:
            seen.add(link.video_id)
            yield link


def _archived(path: Place) -> Iterator[str]:
    if path.is_file():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield _archived_id(line)


def _archived_id(line: str) -> str:
    return line.rpartition(" ")[2]


def _given_up(failures: Sequence[FailedVideo]) -> Iterator[tuple[str, Step]]:
    times = Counter((failure.video_id, failure.step) for failure in failures)
    for failure in failures:
        if failure.is_final or times[failure.video_id, failure.step] >= FAILED_OFTEN:
            yield failure.video_id, failure.step


def _last_counted(rows: Iterable[Mapping[str, Any]]) -> dict[str, datetime]:
    latest: dict[str, datetime] = {}
    for row in rows:
        when = datetime.fromisoformat(row["captured_at"])
        video_id = row["video_id"]
        latest[video_id] = max(when, latest.get(video_id, when))
    return latest
