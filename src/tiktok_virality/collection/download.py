"""Fetching videos and their counts, one at a time, by yt-dlp."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Container, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tiktok_virality.collection.config import UNFINISHED_FOLDER, CollectionParameters, SiteAccess
from tiktok_virality.collection.creators import CreatorNames
from tiktok_virality.collection.errors import CollectionError, TryAgainError, VideoError
from tiktok_virality.collection.ledger import CollectedVideo, CountSnapshot, FoundVideo
from tiktok_virality.collection.pacing import Pacer
from tiktok_virality.collection.records import count_snapshot, video_record
from tiktok_virality.schema import MediaError

logger = logging.getLogger(__name__)

BYTES_PER_MEGABYTE: Final = 1_000_000


class VideoDownloader:
    """Downloads videos under temporary names.

    Args:
        parameters: Of the collection.
        access: What the user's credentials give.
        folder: Where the videos go; unfinished ones lie in a hidden folder in it.
        check_playable: Raises a `MediaError` for a file that is not a whole, playable video.
        pacer: Says when the next request may start.
        forgotten: Ids of videos, and creators as they are stored, that are not to be taken.

    Raises:
        CollectionError: yt-dlp is not installed.
        ParameterError: The cookies file cannot be used.
    """

    def __init__(
        self,
        parameters: CollectionParameters,
        access: SiteAccess,
        folder: Path,
        check_playable: Callable[[Path], object],
        pacer: Pacer,
        forgotten: Container[str] = frozenset(),
    ) -> None:
        try:
            from tiktok_virality.collection.extractor import open_downloader
        except ModuleNotFoundError as error:
            raise CollectionError(
                f"Collection needs {error.name}: pip install -c constraints.txt -e '.[collection]'"
            ) from None
        self._parameters = parameters
        self._access = access
        self._names = CreatorNames(access.creator_key, keep=parameters.keep_creator_names)
        self._folder = folder / UNFINISHED_FOLDER
        self._check_playable = check_playable
        self._pacer = pacer
        self._forgotten = forgotten
        self._yt_dlp = open_downloader(parameters, access, self._folder, pacer)
        self._yt_dlp.add_progress_hook(self._check_progress)
        self._give_up_at = 0.0

    def __enter__(self) -> Self:
        """Reserve the folder.

        Raises:
            CollectionError: Another collection is downloading into it.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise CollectionError(
                f"Another collection is downloading into {self._folder.parent}. Wait for its end."
            ) from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close connections; unfinished files stay, for the next run to go on with."""
        self._yt_dlp.close()
        if not any(self._folder.iterdir()):
            self._folder.rmdir()
        os.close(self._lock)

    def download(self, found: FoundVideo) -> CollectedVideo:
        """Return a video that is whole and playable, under a temporary name.

        Raises:
            VideoError: It cannot be had.
            CollectionError: No video can be had.
        """
        try:
            return self._pacer.retrying(lambda: self._download(found))
        except VideoError as error:
            if error.is_final:
                self._discard(found.video_id)
            raise

    def count(self, video_id: str) -> CountSnapshot:
        """Return how often a video was seen until now.

        Raises:
            VideoError: Its page cannot be had.
            CollectionError: No page can be had.
        """
        info = self._pacer.retrying(lambda: self._page_info(video_id))
        return count_snapshot(info, datetime.now(UTC))

    def _download(self, found: FoundVideo) -> CollectedVideo:
        self._check_forgotten(found.video_id)
        info = self._page_info(found.video_id)
        self._check_forgotten(info["uploader"], self._names.write(info["uploader"]))
        captured_at = datetime.now(UTC)
        longest = self._parameters.limits.max_seconds
        if (info.get("duration") or 0) > longest:
            detail = f"{info['duration']} s, more than collection.limits.max_seconds={longest:g}"
            raise VideoError("too long", detail, is_final=True)
        info, path = self._fetch(info)
        return CollectedVideo(
            video_id=found.video_id,
            topic=found.topic,
            path=path,
            record=video_record(info, found, captured_at, self._names),
            counts=count_snapshot(info, captured_at),
        )

    def _check_forgotten(self, *names: str) -> None:
        if any(name in self._forgotten for name in names):
            detail = "the video or its creator is on the forget list"
            raise VideoError("forgotten", detail, is_final=True)

    def _page_info(self, video_id: str) -> dict[str, Any]:
        """Return what the page of a video says, without its file."""
        from yt_dlp.utils import YoutubeDLError

        url = self._parameters.video_url(video_id)
        try:
            return self._yt_dlp.extract_info(url, download=False, process=False)
        except YoutubeDLError as error:
            raise VideoError("no page", self._words(error)) from error

    def _fetch(self, info: dict[str, Any]) -> tuple[dict[str, Any], Path]:
        """Download the file that a page leads to; what an earlier attempt has left is used."""
        from yt_dlp.utils import YoutubeDLError

        self._give_up_at = time.monotonic() + self._parameters.limits.max_download_seconds
        try:
            info = self._yt_dlp.process_ie_result(info, download=True)
        except YoutubeDLError as error:
            if "format is not available" in str(error):
                raise VideoError("no format", self._words(error), is_final=True) from error
            raise TryAgainError("cut short", self._words(error)) from error
        path = Path(info["requested_downloads"][0]["filepath"])
        try:
            self._check_playable(path)
        except MediaError as error:
            path.unlink(missing_ok=True)
            raise TryAgainError("unplayable", error.detail) from error
        return info, path

    def _check_progress(self, progress: dict[str, Any]) -> None:
        """Give up a download that is too large or too slow; yt-dlp calls this for each block."""
        limits = self._parameters.limits
        size = max(progress.get("total_bytes") or 0, progress.get("downloaded_bytes") or 0)
        if size > limits.max_megabytes * BYTES_PER_MEGABYTE:
            megabytes = size / BYTES_PER_MEGABYTE
            raise VideoError(
                "too large",
                f"{megabytes:.1f} MB, more than collection.limits.max_megabytes="
                f"{limits.max_megabytes:g}",
                is_final=True,
            )
        if progress["status"] == "downloading" and time.monotonic() > self._give_up_at:
            raise VideoError(
                "too slow",
                f"{progress['downloaded_bytes']} of {progress.get('total_bytes') or '?'} bytes in "
                f"collection.limits.max_download_seconds={limits.max_download_seconds:g}",
            )

    def _words(self, error: Exception) -> str:
        """Return yt-dlp's words for people, without its colours, its advice, and secrets."""
        return self._access.conceal(_said(error))

    def _discard(self, video_id: str) -> None:
        for path in self._leftovers(video_id):
            path.unlink()

    def _leftovers(self, video_id: str) -> Iterator[Path]:
        yield from self._folder.glob(f"{video_id}.*")


def _said(error: Exception) -> str:
    """Return yt-dlp's words for people, without its colours and advice."""
    text = str(error).replace("\x1b[0;31mERROR:\x1b[0m ", "").removeprefix("ERROR: ")
    text = text.strip().removeprefix("[download] Got error: ")
    return text.partition("; please report this issue")[0].partition("Use --cookies")[0].strip()
