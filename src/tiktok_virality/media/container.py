"""Opening a video file: one place for the choice of stream and for the errors."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tiktok_virality.schema import MediaError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.stream import VideoStream


FAULTS_OF_THE_MACHINE: Final = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ENOMEM, errno.EMFILE),
        *(errno.ENFILE, errno.ETIMEDOUT, errno.ENODEV, errno.ENXIO, errno.EAGAIN),
        *(errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH),
    }
)
"""Error numbers of what has nothing to do with the clip: another attempt may succeed."""


SAMPLE_ENTRY: Final = re.compile(rb"stsd.{12}(....)", re.DOTALL)
"""Where an mp4 or mov file names the codec of a track (ISO 14496-12, 8.5.2)."""


FORMATS: Final = ",".join(
    (
        *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "mpegts", "mpeg", "avi"),
        *("flv", "asf", "ogg", "rm", "nut", "mxf", "dv", "ivf", "gif", "apng", "mjpeg", "m4v"),
        *("h264", "hevc", "obu", "av1", "vvc", "mpegvideo", "yuv4mpegpipe", "wtv", "swf"),
        *("wav", "w64", "flac", "mp3", "aac", "ac3", "eac3", "aiff", "au", "caf", "amr", "ape"),
        *("wv", "tta"),
    )
)
"""Formats that hold a clip, or a sound, themselves, whatever the name of the file says. A playlist
does not: it names other files and addresses, and whoever sends it would have them read."""

ONLY_THE_FILE: Final = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
"""Options of ffmpeg under which nothing but the file itself is opened."""


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a media file, and turn every fault of the file into a `MediaError`.

    Raises:
        OSError: A fault of the machine, such as no permission, or a file that is gone.
        MediaError: ``"unreadable"``: the file is empty, cut short or not a video, or broke while
            it was read.
    """
    import av

    size_bytes = path.stat().st_size
    try:
        if size_bytes == 0:
            raise MediaError("unreadable", f"{path.name} is empty (0 bytes)")
        with av.open(str(path.absolute()), container_options=ONLY_THE_FILE) as container:
            yield container
    except (av.FFmpegError, OSError) as error:
        if getattr(error, "errno", None) in FAULTS_OF_THE_MACHINE:
            raise
        cause = getattr(error, "strerror", None) or str(error)
        raise MediaError("unreadable", f"{path.name}: {cause}") from error


def choose_video_stream(container: InputContainer) -> VideoStream:
    """Return the stream that the ffmpeg command would take.

    A stream marked as default goes first, then the largest picture; cover art does not count, nor
    does a stream that nothing here can decode.

    Raises:
        MediaError: ``"no video stream"``; or ``"unknown codec"`` of the only ones there are.
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
    known = [stream for stream in streams if can_decode(stream)]
    if not known:
        names = ", ".join(dict.fromkeys(codec_name(container, stream) for stream in streams))
        raise MediaError(
            "unknown codec",
            f"nothing here can decode the picture ({names}); download the clip in another format",
        )
    return max(
        known,
        key=lambda stream: (
            bool(stream.disposition & Disposition.default),
            stream.codec_context.width * stream.codec_context.height,
        ),
    )


def choose_audio_stream(container: InputContainer) -> AudioStream | None:
    """Return the track that a player would play, of those that can be decoded; or none.

    A track marked as default goes first, then the one with the most channels.
    """
    from av.stream import Disposition

    return max(
        (stream for stream in container.streams.audio if can_decode(stream)),
        key=lambda stream: (
            bool(stream.disposition & Disposition.default),
            stream.codec_context.layout.nb_channels,
        ),
        default=None,
    )


def can_decode(stream: Stream) -> bool:
    """Say whether there is a decoder for a stream."""
    return getattr(stream, "codec_context", None) is not None


def codec_name(container: InputContainer, stream: Stream) -> str:
    """Return the name of a codec; its four letters in the file where nobody knows it."""
    if can_decode(stream):
        return stream.codec_context.codec.canonical_name
    described = SAMPLE_ENTRY.findall(Path(container.name).read_bytes())
    names = [name.decode("latin-1") for name in described if name.isalnum()]
    known = {each.codec_tag for each in container.streams if can_decode(each)}
    return next((name for name in names if name not in known), "of an unknown name")
