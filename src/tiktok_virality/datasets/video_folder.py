"""A folder of video files, by id."""

from __future__ import annotations

import logging
import os
import unicodedata
from collections.abc import Container, Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import unquote

from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.datasets.stage_store import StageReport, StageStore
from tiktok_virality.execution import Shard, StagePlan
from tiktok_virality.media.clip import EncodedVideo, VideoFiles
from tiktok_virality.storage import ObjectPath, Place, below, listed_below, place_at

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".webm", ".mkv")
LEDGER_FOLDER = ".videos"
UNFINISHED_SUFFIXES = (".part", ".temp", ".tmp")


class VideoFolder(AbstractDataset[StagePlan, VideoFiles]):
    """The video files of a folder and of the folders in it.

    The id of a video is its path below the folder, without its suffix: percent-decoded, so that
    ids with slashes can be file names, and in Unicode normal form C, so that it does not matter
    which system wrote the name. Hidden files and unfinished downloads do not count. What is named
    like a video and is no regular file is listed with an obstacle. So is a link out of the folder
    where ``follow_links`` is off: then who fills the folder cannot have other files read.

    A plan whose rows have a column ``video`` (the bytes of an mp4) can be saved here: the demo
    corpus is rendered that way, resumable as any stage is.

    Args:
        filepath: The folder.
        engine: How a saved plan reaches workers; see `StageStore`.
        follow_links: Whether links may lead out of the folder.
        credentials: Of a place in a bucket; see `storage`.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        engine: Mapping[str, Any] | None = None,
        follow_links: bool = True,
        credentials: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._folder = place_at(filepath, credentials)
        self._follow_links = follow_links
        self._store = StageStore(
            filepath=str(self._folder / LEDGER_FOLDER),
            engine=engine,
            credentials=credentials,
            file_columns={"video": {"suffix": ".mp4", "path": str(self._folder)}},
        )
        self.metadata = metadata

    def load(self) -> VideoFiles:
        """Return references to the files; none where the folder is empty or missing."""
        return VideoFiles(self._folder, _with_ids(self._folder, follow_links=self._follow_links))

    @property
    def last_report(self) -> StageReport | None:
        """What the last save did."""
        return self._store.last_report

    def take_shard(self, shard: Shard) -> None:
        """Make the videos of a shard alone from now on; those that are there are all shown."""
        self._store.take_shard(shard)

    def save(self, plan: StagePlan) -> None:
        """Make the videos of a plan that are not there yet."""
        self._store.save(plan)

    def forget(self, names: Forgotten, *, dry_run: bool = False) -> int:
        """Remove files of videos, with all that lies beside them under the same name."""
        known = self.load().keys()
        found: dict[str, list[Place]] = {}
        for path in listed_below(self._folder, "*"):
            relative = below(path, self._folder)
            if not path.is_dir() and relative.parts[0] != LEDGER_FOLDER:
                owner = _owner(relative, known, names)
                if owner in names:
                    found.setdefault(str(owner), []).append(path)
        for path in (path for paths in found.values() for path in paths):
            if not dry_run:
                path.unlink(missing_ok=True)
        self._store.forget(names, dry_run=dry_run)
        return len(found)

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first files, for Kedro-Viz."""
        data = [
            [video.video_id, str(video.path), round(video.size_bytes / 1e6, 2)]
            for video in islice(self.load().values(), nrows)
        ]
        columns = ["video_id", "path", "size in MB"]
        return TablePreview({"index": list(range(len(data))), "columns": columns, "data": data})

    def _exists(self) -> bool:
        return next(_video_paths(self._folder), None) is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder)}


def video_id_of(relative_path: PurePath) -> str:
    """Return the id of a video from its path below the folder.

    Bytes in a file name that are not UTF-8 become replacement characters.
    """
    name = os.fsencode(relative_path.with_suffix("").as_posix()).decode("utf-8", "replace")
    return unicodedata.normalize("NFC", unquote(name))


def _owner(relative: PurePath, known: Container[str], names: Container[object]) -> str | None:
    """Return the video that a file belongs to, or ``None``.

    ``7106.info.json`` belongs to ``7106``, unless there is a video ``7106.info``.
    """
    relative = relative.with_name(relative.name.lstrip("."))  # what a killed run left half-written
    while relative.suffix:
        video_id = video_id_of(relative)
        if video_id in names or video_id in known:
            return video_id
        relative = relative.with_suffix("")
    return None


def _with_ids(folder: Place, *, follow_links: bool) -> Iterator[EncodedVideo]:
    """Give each file an id of its own: a second file of the same id keeps its whole name."""
    taken: set[str] = set()
    root = folder.resolve()
    for path in _video_paths(folder):
        relative = below(path, folder)
        video_id = video_id_of(relative)
        if video_id in taken:
            logger.warning("%s: another file has the id %r; using the file name", path, video_id)
            video_id = os.fsencode(relative.as_posix()).decode("utf-8", "replace")
        taken.add(video_id)
        obstacle = _obstacle(path, None if follow_links else root)
        status = path.stat() if isinstance(path, ObjectPath) or obstacle is None else path.lstat()
        yield EncodedVideo(
            video_id=video_id,
            path=path,
            size_bytes=status.st_size,
            modified_ns=status.st_mtime_ns,
            obstacle=obstacle,
        )


def _obstacle(path: Place, root: Place | None) -> str | None:
    """Return why a file is not to be read.

    Args:
        path: Its place.
        root: Of the folder out of which no link may lead; ``None`` lets them.
    """
    if isinstance(path, ObjectPath) or isinstance(root, ObjectPath):
        return None  # objects are neither links nor devices
    if not path.exists():
        return "a link leads nowhere"
    if not path.is_file():
        return "it is no regular file"
    if root is not None and not path.resolve().is_relative_to(root):
        return "a link leads out of the folder, and its catalog entry has `follow_links: false`"
    return None


def _video_paths(folder: Place) -> Iterator[Place]:
    for path in listed_below(folder, "*"):
        hidden = any(part.startswith((".", "~")) for part in below(path, folder).parts)
        unfinished = Path(path.stem).suffix.lower() in UNFINISHED_SUFFIXES
        is_video = path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()
        if is_video and not hidden and not unfinished:
            yield path
