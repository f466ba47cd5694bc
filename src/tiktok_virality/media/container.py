"""Opening a video file: one place for the choice of stream, what is too much, and the errors."""

from __future__ import annotations

import errno
import mmap
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tiktok_virality.schema import MediaError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream


FAULTS_OF_THE_MACHINE: Final = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE),
        *(errno.ETIMEDOUT, errno.ENODEV, errno.ENXIO, errno.EAGAIN, errno.ENOTCONN),
        *(errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETUNREACH),
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


MOST_BYTES: Final = 2**32
"""Of a file."""
MOST_PIXELS: Final = 8192 * 4320
"""Of a picture: no camera makes larger ones, and a few bytes can say that they are one."""
MOST_STREAMS: Final = 200
MOST_PACKETS: Final = 2_000_000
"""Of all streams together: more than an hour at 240 frames a second has."""
MOST_GROWTH: Final = 4
FREE_GROWTH_BYTES: Final = 2**26
"""Packets hold at most so many times the size of the file, and so much besides: more come only of
places that are read as often as one likes, or of what is packed."""
PIECE_BYTES: Final = 2**20
MOST_SECONDS: Final = 3_600
"""Of a clip, whatever the limits of ingestion are."""

DECODER_OPTIONS: Final = {"max_pixels": str(MOST_PIXELS)}
"""Options of ffmpeg under which a stream that grows on its way is not decoded either."""


@contextmanager
def open_container(path: Path) -> Iterator[InputContainer]:
    """Open a media file, and turn every fault of the file into a `MediaError`.

    Raises:
        OSError: A fault of the machine, such as no permission, or a file that is gone.
        MediaError: ``"unreadable"``: the file is empty, cut short or not a video, or broke while
            it was read; or ``"too large"``: it holds more than any clip does.
    """
    import av

    _check_file(path)
    try:
        with _opened(path) as container:
            yield container
    except av.error.MemoryError as error:
        raise too_large(path, "it takes more memory than may be had") from error
    except (av.FFmpegError, OSError) as error:
        number = getattr(error, "errno", None)
        if number in FAULTS_OF_THE_MACHINE and not (number == errno.EIO and _can_be_read(path)):
            raise
        cause = getattr(error, "strerror", None) or str(error)
        raise MediaError("unreadable", f"{path.name}: {cause}") from error


def _can_be_read(path: Path) -> bool:
    """Say whether the disk gives the whole file: ffmpeg calls a missing end an input error, too.

    Raises:
        OSError: It does not.
    """
    with path.open("rb") as file:
        while file.read(PIECE_BYTES):
            pass
    return True


def _check_file(path: Path) -> None:
    """See that a file can be one of a clip.

    Raises:
        MediaError: ``"unreadable"``: it is no regular file, or empty; or ``"too large"``.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise MediaError("unreadable", f"{path.name} is no regular file")
    if status.st_size == 0:
        raise MediaError("unreadable", f"{path.name} is empty (0 bytes)")
    if status.st_size > MOST_BYTES:
        raise too_large(path, f"{status.st_size} bytes, more than {MOST_BYTES}")


def _opened(path: Path) -> InputContainer:
    """Open a file; its names and titles may be in any encoding.

    Raises:
        MediaError: ``"too large"``: it has more streams than a clip has.
    """
    import av

    container = av.open(
        str(path.absolute()),
        options=DECODER_OPTIONS,
        container_options=ONLY_THE_FILE,
        metadata_errors="replace",
    )
    count = len(container.streams)
    if count > MOST_STREAMS:
        container.close()
        raise too_large(path, f"{count} streams, more than {MOST_STREAMS}")
    for stream in container.streams:
        if can_decode(stream):
            stream.codec_context.options = DECODER_OPTIONS
    return container


def too_large(path: Path, what: str) -> MediaError:
    """Return the error for a file that holds more than any clip does."""
    return MediaError("too large", f"{path.name}: {what}")


def read_packets(
    path: Path, container: InputContainer, stream: Stream | None = None
) -> Iterator[Packet[Any]]:
    """Yield the packets of a file, or of one stream of it, to the last.

    Raises:
        MediaError: ``"too large"``: there are too many, or they hold more than the file can.
    """
    most_bytes = MOST_GROWTH * path.stat().st_size + FREE_GROWTH_BYTES
    size = 0
    packets = container.demux() if stream is None else container.demux(stream)
    for count, packet in enumerate(packets, start=1):
        size += packet.size
        if count > MOST_PACKETS:
            raise too_large(path, f"more than {MOST_PACKETS} packets")
        if size > most_bytes:
            raise too_large(path, f"its packets hold more than {most_bytes} bytes, it does not")
        yield packet


def choose_video_stream(container: InputContainer) -> VideoStream:
    """Return the stream that the ffmpeg command would take.

    A stream marked as default goes first, then the largest picture; cover art does not count, nor
    does a stream that nothing here can decode.

    Raises:
        MediaError: ``"no video stream"``; ``"unknown codec"`` of the only ones there are; or
            ``"too large"``: its picture is.
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
    chosen = max(
        known,
        key=lambda stream: (
            bool(stream.disposition & Disposition.default),
            stream.codec_context.width * stream.codec_context.height,
        ),
    )
    width, height = chosen.codec_context.width, chosen.codec_context.height
    if width * height > MOST_PIXELS:
        raise too_large(
            Path(container.name), f"{width} x {height} pixels, more than {MOST_PIXELS} in all"
        )
    return chosen


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
    with (
        Path(container.name).open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        described = SAMPLE_ENTRY.findall(content)
    names = [name.decode("latin-1") for name in described if name.isalnum()]
    known = {each.codec_tag for each in container.streams if can_decode(each)}
    return next((name for name in names if name not in known), "of an unknown name")
