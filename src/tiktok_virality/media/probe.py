"""What a video file holds, found by reading all of it once and decoding its first frame."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tiktok_virality.media.container import (
    choose_audio_stream,
    choose_video_stream,
    codec_name,
    open_container,
    read_packets,
)
from tiktok_virality.media.geometry import Orientation
from tiktok_virality.schema import MediaError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

LEAST_SHARE_PRESENT = 0.9
"""A file that ends before this share of its declared duration was cut short."""


@dataclass(frozen=True, kw_only=True)
class VideoProbe:
    """What a video file holds.

    Attributes:
        duration_seconds: How long the chosen video stream is shown.
        width: Width of the picture as shown, after any rotation, in square pixels.
        height: Height of the picture as shown, in pixels.
        rotation_degrees: Clockwise turn that a player applies: 0, 90, 180 or 270.
        fps: Frames per second, on average.
        video_codec: Such as ``"h264"`` or ``"hevc"``.
        sound_seconds: Until when its sound lasts, from where the picture begins; 0 without any.
        has_audio: Whether there is an audio track that can be decoded, silent or not.
        audio_codec: Such as ``"aac"``; ``None`` without a track. A track that nothing here can
            decode has the name that the file gives it.
        frame_count: Frames of the chosen stream, by its packets.
        video_streams: Number of video streams.
        size_bytes: Size of the file.
        content_hash: SHA-256 of the file.
        stream_hash: SHA-256 of the chosen stream's packets; copies in other containers share it.
    """

    duration_seconds: float
    width: int
    height: int
    rotation_degrees: int
    fps: float
    video_codec: str
    sound_seconds: float
    has_audio: bool
    audio_codec: str | None
    frame_count: int
    video_streams: int
    size_bytes: int
    content_hash: str
    stream_hash: str


def probe_video(path: Path) -> VideoProbe:
    """Read a video file from end to end, and decode its first frame.

    Args:
        path: Any container that FFmpeg reads.

    Raises:
        MediaError: ``"unreadable"``: not a video, cut short, or without a decodable frame;
            ``"no video stream"``; ``"unknown codec"``; or ``"too large"``.
    """
    with open_container(path) as container:
        stream, audio = choose_video_stream(container), choose_audio_stream(container)
        reading = _read(path, container, stream, audio)
        _check_complete(path, container, stream, reading)
        frame = reading.first_frame
        if frame is None:
            raise MediaError("unreadable", f"{path.name}: no frame can be decoded")
        orientation = Orientation.of(frame)
        aspect = float(stream.sample_aspect_ratio or 1)
        width, height = orientation.size(max(1, round(frame.width * aspect)), frame.height)
        any_audio = next(iter(container.streams.audio), None)
        return VideoProbe(
            duration_seconds=reading.duration_seconds,
            width=width,
            height=height,
            rotation_degrees=orientation.rotation_degrees,
            fps=reading.frame_count / reading.duration_seconds,
            video_codec=stream.codec_context.codec.canonical_name,
            sound_seconds=max(0.0, reading.sound_ends - reading.starts),
            has_audio=audio is not None,
            audio_codec=codec_name(container, audio or any_audio) if any_audio else None,
            frame_count=reading.frame_count,
            video_streams=len(container.streams.video),
            size_bytes=path.stat().st_size,
            content_hash=_file_hash(path),
            stream_hash=reading.hash.hexdigest(),
        )


@dataclass
class _Reading:
    """What was met on the way through the packets of a file; times in seconds."""

    first_frame: VideoFrame | None = None
    frame_count: int = 0
    starts: float = float("inf")
    ends: float = 0.0
    sound_ends: float = float("-inf")
    file_ends: float = 0.0
    hash: hashlib._Hash = field(default_factory=hashlib.sha256)

    @property
    def duration_seconds(self) -> float:
        return self.ends - self.starts


def _read(
    path: Path, container: InputContainer, stream: VideoStream, audio: AudioStream | None
) -> _Reading:
    """Pass over every packet of every stream, decoding until the first frame."""
    import av

    reading = _Reading()
    stream.codec_context.thread_count = 1
    for packet in read_packets(path, container):
        _note_time(reading, packet, stream, audio)
        if packet.stream is not stream:
            continue
        reading.hash.update(packet)
        if reading.first_frame is None:
            try:
                frames = stream.codec_context.decode(packet if packet.size else None)
            except av.error.InvalidDataError:
                continue
            reading.first_frame = next(iter(frames), None)
    return reading


def _note_time(
    reading: _Reading, packet: Packet[Stream], stream: VideoStream, audio: AudioStream | None
) -> None:
    if packet.pts is None or not packet.size:
        return
    tick = float(packet.time_base)
    starts, ends = packet.pts * tick, (packet.pts + (packet.duration or 0)) * tick
    reading.file_ends = max(reading.file_ends, ends)
    if packet.stream is audio:
        reading.sound_ends = max(reading.sound_ends, ends)
    if packet.stream is stream and not packet.is_discard:
        reading.frame_count += 1
        reading.starts = min(reading.starts, starts)
        reading.ends = max(reading.ends, ends)


def _check_complete(
    path: Path, container: InputContainer, stream: VideoStream, reading: _Reading
) -> None:
    """Compare what was read with what the header declares: of the stream, or else of the file.

    Raises:
        MediaError: ``"unreadable"``: there is no frame, or the end is missing.
    """
    import av

    if not reading.frame_count or reading.duration_seconds <= 0:
        raise MediaError("unreadable", f"{path.name}: the video stream holds no frames")
    if stream.duration is not None and stream.time_base is not None:
        declared, present = float(stream.duration * stream.time_base), reading.duration_seconds
    else:
        declared, present = (container.duration or 0) / av.time_base, reading.file_ends
    if present < LEAST_SHARE_PRESENT * declared:
        raise MediaError(
            "unreadable", f"{path.name} is cut short: it holds {present:.1f} of {declared:.1f} s"
        )


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
