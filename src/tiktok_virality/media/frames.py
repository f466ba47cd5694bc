"""Sparse frame decoding: only the groups of pictures that hold a wanted frame are decoded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from tiktok_virality.media.container import choose_video_stream, open_container
from tiktok_virality.media.geometry import Orientation, fit_within
from tiktok_virality.schema import Config, MediaError

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

    VideoPacket = Packet[VideoStream]

MICROSECONDS = 1_000_000


class FrameSampling(Config):
    """Which frames of a clip become tokens, and at what size.

    Every clip is scaled, keeping its shape, into the same canvas and centred there on black.

    Attributes:
        every_nth: Keep frames 0, n, 2n, ... in the order in which they are shown.
        shrink: Divide the reference size by this factor.
        max_frames: Keep at most this many of them, evenly spread; ``None`` keeps all.
        reference_height: Height of the canvas before shrinking, in pixels.
        reference_width: Width of the canvas before shrinking, in pixels.
    """

    every_nth: int = Field(default=10, ge=1)
    shrink: int = Field(default=8, ge=1, le=64)
    max_frames: int | None = Field(default=32, ge=1)
    reference_height: int = Field(default=1024, ge=64, le=8192)
    reference_width: int = Field(default=576, ge=64, le=8192)

    @property
    def height(self) -> int:
        """Height of a sampled frame, in pixels."""
        return self.reference_height // self.shrink

    @property
    def width(self) -> int:
        """Width of a sampled frame, in pixels."""
        return self.reference_width // self.shrink

    def indices(self, count: int) -> list[int]:
        """Return which of ``count`` frames to keep, ascending."""
        wanted = np.arange(0, count, self.every_nth)
        if self.max_frames is not None and len(wanted) > self.max_frames:
            spread = np.linspace(0, len(wanted) - 1, self.max_frames)
            wanted = wanted[spread.round().astype(int)]
        return wanted.tolist()


@dataclass(frozen=True, kw_only=True)
class FrameTensor:
    """Sampled frames of one clip.

    Attributes:
        pixels: RGB, uint8 [T, 3, H, W].
        timestamps_seconds: When each is shown, from the start of the clip, float32 [T].
    """

    pixels: np.ndarray
    timestamps_seconds: np.ndarray

    def __repr__(self) -> str:
        return f"FrameTensor(pixels={self.pixels.dtype} {list(self.pixels.shape)})"


def sample_frames(path: Path, sampling: FrameSampling) -> FrameTensor:
    """Decode the wanted frames of a clip: those that decoding everything and picking would give.

    Decoding uses one thread: stages run one process per core.

    Args:
        path: A file with at least one video stream.
        sampling: What to keep.

    Returns:
        The frames, upright and in the order in which they are shown.

    Raises:
        MediaError: The file cannot be opened, holds no video stream, or no decodable frame.
    """
    with open_container(path) as container:
        stream = choose_video_stream(container)
        stream.codec_context.thread_count = 1
        packets = [packet for packet in container.demux(stream) if packet.size]
        scaler = _Scaler(sampling=sampling, pixel_aspect=float(stream.sample_aspect_ratio or 1))
        pictures = _sparsely(stream.codec_context, packets, sampling, scaler)
        if pictures is None:
            pictures = _by_decoding_everything(stream.codec_context, packets, sampling, scaler)
        if not pictures:
            raise MediaError("unreadable", f"{path.name}: no frame can be decoded")
        tick_seconds = stream.time_base or Fraction(1)
        start_seconds = Fraction(container.start_time or 0, MICROSECONDS)
        times = [picture.pts * tick_seconds - start_seconds for picture in pictures]
    return FrameTensor(
        pixels=np.stack([picture.pixels for picture in pictures]),
        timestamps_seconds=np.array(times, dtype=np.float32),
    )


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """A frame at its final size, uint8 [3, H, W], and when it is shown, in stream ticks."""

    pts: int
    pixels: np.ndarray


@dataclass(frozen=True, kw_only=True)
class _Scaler:
    """Scales a frame once, straight to its final size, and sets it upright on the canvas."""

    sampling: FrameSampling
    pixel_aspect: float

    @cached_property
    def _reformatter(self) -> VideoReformatter:
        from av.video.reformatter import VideoReformatter

        return VideoReformatter()

    def __call__(self, frame: VideoFrame) -> _Picture:
        height, width = self.sampling.height, self.sampling.width
        orientation = Orientation.of(frame)
        shown = orientation.size(frame.width * self.pixel_aspect, frame.height)
        fitted = fit_within(*shown, canvas=(width, height))
        coded = orientation.size(*fitted)
        scaled = self._reformatter.reformat(frame, *coded, "rgb24", threads=1).to_ndarray()
        left, top = (width - fitted[0]) // 2, (height - fitted[1]) // 2
        pixels = np.zeros((3, height, width), dtype=np.uint8)
        upright = orientation.apply(scaled).transpose(2, 0, 1)  # [3, h, w]
        pixels[:, top : top + fitted[1], left : left + fitted[0]] = upright
        return _Picture(pts=frame.pts or 0, pixels=pixels)


def _sparsely(
    decoder: VideoCodecContext,
    packets: Sequence[VideoPacket],
    sampling: FrameSampling,
    scaler: _Scaler,
) -> list[_Picture] | None:
    """Decode only what the wanted frames need; ``None`` where the packets do not tell what that is.

    They mislead where the container calls a picture a key frame from which decoding cannot start,
    as with gradual refresh.
    """
    times = [packet.pts for packet in packets if packet.pts is not None]
    order = _presentation_order(packets, times)
    if order is None:
        return None
    wanted = [order[index] for index in sampling.indices(len(order))]
    waiting = {times[position] for position in wanted}
    found: dict[int, _Picture] = {}
    depth = decoder.reorder_depth
    for run in _runs(packets, times, wanted):
        for frame in _decode(decoder, packets[run.start : run.stop], waiting):
            if frame.pts == times[run.start] and not frame.key_frame:
                return None
            if frame.pts is not None and frame.pts in waiting:
                found[frame.pts] = scaler(frame)
        decoder.reorder_depth = depth  # flushing may forget it, and learning anew costs pictures
    if found.keys() != waiting:
        return None
    return [found[times[position]] for position in wanted]


def _by_decoding_everything(
    decoder: VideoCodecContext,
    packets: Sequence[VideoPacket],
    sampling: FrameSampling,
    scaler: _Scaler,
) -> list[_Picture]:
    """Decode every frame and scale those that may be wanted once their number is known."""
    count = 0
    candidates: list[_Picture] = []
    for count, frame in enumerate(_decode(decoder, packets), start=1):
        if (count - 1) % sampling.every_nth == 0:
            candidates.append(scaler(frame))
    return [candidates[index // sampling.every_nth] for index in sampling.indices(count)]


def _presentation_order(packets: Sequence[VideoPacket], times: Sequence[int]) -> list[int] | None:
    """Return the positions of the packets that will be shown, in the order of showing.

    ``None`` where packets alone do not tell: without timestamps, or where pictures of the opening
    group precede its key frame, which a decoder may or may not show.
    """
    if not packets or len(times) < len(packets) or not packets[0].is_keyframe:
        return None
    shown = [position for position, packet in enumerate(packets) if not packet.is_discard]
    order = sorted(shown, key=lambda position: times[position])
    if not order or times[order[0]] < times[0] or len({times[p] for p in shown}) < len(shown):
        return None
    return order


def _runs(
    packets: Sequence[VideoPacket], times: Sequence[int], wanted: Sequence[int]
) -> list[range]:
    """Return the stretches of packets to decode: from a key frame to the last wanted picture.

    A picture that follows a key frame in the file and precedes it on the screen may refer to the
    group before (an open group of pictures), so that group is decoded too.
    """
    keys = [position for position, packet in enumerate(packets) if packet.is_keyframe]
    runs: list[range] = []
    for position in sorted(wanted):
        group = bisect_right(keys, position) - 1
        leads = times[position] < times[keys[group]]
        start = keys[group - 1] if leads else keys[group]
        if runs and start <= runs[-1].stop:
            runs[-1] = range(runs[-1].start, position + 1)
        else:
            runs.append(range(start, position + 1))
    return runs


def _decode(
    decoder: VideoCodecContext,
    packets: Sequence[VideoPacket],
    wanted_times: set[int] | None = None,
) -> Iterator[VideoFrame]:
    """Yield the frames of packets to the last, and leave the decoder ready for any others.

    Damaged packets are passed over. With ``wanted_times``, the decoder may drop other frames that
    nothing refers to.
    """
    import av

    try:
        for packet in (*packets, None):
            if packet is not None:
                keep = wanted_times is None or packet.pts in wanted_times
                decoder.skip_frame = "DEFAULT" if keep else "NONREF"
            try:
                frames = decoder.decode(packet)
            except av.error.InvalidDataError:
                continue
            yield from frames
    finally:
        decoder.flush_buffers()
