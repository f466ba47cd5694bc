"""Video files as the catalog hands them out: references, never bytes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tiktok_virality.schema import digest
from tiktok_virality.storage import Place, near


@dataclass(frozen=True, kw_only=True)
class EncodedVideo:
    """One video file, still encoded.

    Attributes:
        video_id: Key of the manifest.
        path: Where the file is.
        size_bytes: Size of the file.
        modified_ns: When it was last written, in nanoseconds since 1970.
        obstacle: Why it is not to be read, if it is not: it is no file, or none of this folder.
    """

    video_id: str
    path: Place
    size_bytes: int
    modified_ns: int
    obstacle: str | None = None

    @property
    def file(self) -> Path:
        """A file of this machine to decode: the video, or a copy, which is fetched first.

        Raises:
            OSError: It is gone, or the place where it is does not answer.
        """
        return near(self.path)

    @property
    def digest(self) -> str:
        """Tells one content from another without reading it: id, size and time of writing."""
        return digest([self.video_id, self.size_bytes, self.modified_ns])


class VideoFiles(Mapping[str, EncodedVideo]):
    """The videos of a folder by id.

    Args:
        folder: The folder; paths of all videos lie below it.
        videos: The videos, each with an id of its own.
    """

    def __init__(self, folder: Place, videos: Iterable[EncodedVideo]) -> None:
        self.folder = folder
        self._videos = {video.video_id: video for video in videos}

    def __getitem__(self, video_id: str) -> EncodedVideo:
        return self._videos[video_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._videos)

    def __len__(self) -> int:
        return len(self._videos)

    def __repr__(self) -> str:
        return f"VideoFiles({len(self)} videos in {self.folder})"
