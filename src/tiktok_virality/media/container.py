"""Opening a video file: one place for the choice of stream and for the errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tiktok_virality.schema import MediaError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a media file, and turn every fault of the library into a `MediaError`.

    Raises:
        MediaError: ``"unreadable"``: the file is missing, empty, cut short or not a video, or
            broke while it was read.
    """
    import av

    try:
        if path.stat().st_size == 0:
            raise MediaError("unreadable", f"{path.name} is empty (0 bytes)")
        with av.open(str(path.absolute())) as container:
            yield container
    except (av.FFmpegError, OSError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise MediaError("unreadable", f"{path.name}: {cause}") from error


def choose_video_stream(container: InputContainer) -> VideoStream:
    """Return the stream that the ffmpeg command would take.

    A stream marked as default goes first, then the largest picture; cover art does not count.

    Raises:
        MediaError: ``"no video stream"``.
    """
    from av.stream import Disposition

    streams = [
        stream
        for stream in container.streams.video
        if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        kinds = ", ".join(stream.type for stream in container.streams) or "nothing"
        raise MediaError("no video stream", f"the file holds {kinds}")
    return max(
        streams,
        key=lambda stream: (
            bool(stream.disposition & Disposition.default),
            stream.codec_context.width * stream.codec_context.height,
        ),
    )
