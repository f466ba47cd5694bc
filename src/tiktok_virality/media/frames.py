"""Sparse frame decoding: only the groups of pictures that hold a wanted frame are decoded."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
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
    from av.video.stream import VideoStream

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
        frames = _wanted_frames(stream.codec_context, packets, sampling)
        if not frames:
            raise MediaError("unreadable", f"{path.name}: no frame can be decoded")
        start_seconds = Fraction(container.start_time or 0, MICROSECONDS)
        times = [(frame.pts or 0) * stream.time_base - start_seconds for frame in frames]
        pixels = _scale(frames, sampling, pixel_aspect=float(stream.sample_aspect_ratio or 1))
    return FrameTensor(pixels=pixels, timestamps_seconds=np.array(times, dtype=np.float32))


def _scale(
    frames: Sequence[VideoFrame], sampling: FrameSampling, pixel_aspect: float
) -> np.ndarray:
    """Scale each frame once, straight to its final size, and set it upright on the canvas.

    Returns:
        RGB, uint8 [T, 3, H, W].
    """
    from av.video.reformatter import VideoReformatter

    scaler = VideoReformatter()
    height, width = sampling.height, sampling.width
    canvases = np.zeros((len(frames), 3, height, width), dtype=np.uint8)
    for canvas, frame in zip(canvases, frames, strict=True):
        orientation = Orientation.of(frame)
        shown = orientation.size(frame.width * pixel_aspect, frame.height)
        fitted = fit_within(*shown, canvas=(width, height))
        scaled = scaler.reformat(frame, *orientation.size(*fitted), "rgb24", threads=1)
        left, top = (width - fitted[0]) // 2, (height - fitted[1]) // 2
        upright = orientation.apply(scaled.to_ndarray()).transpose(2, 0, 1)  # [3, h, w]
        canvas[:, top : top + fitted[1], left : left + fitted[0]] = upright
    return canvases


def _wanted_frames(
    decoder: VideoCodecContext, packets: Sequence[Packet[VideoStream]], sampling: FrameSampling
) -> list[VideoFrame]:
    """Return the wanted frames in the order in which they are shown."""
    positions = _presentation_order(packets)
    if positions is not None:
        wanted = [positions[index] for index in sampling.indices(len(positions))]
        frames = _decode_runs(decoder, packets, wanted)
        if frames is not None:
            return frames
    everything = list(_decode(decoder, packets))
    return [everything[index] for index in sampling.indices(len(everything))]


def _presentation_order(packets: Sequence[Packet[VideoStream]]) -> list[int] | None:
    """Return the positions of the packets that will be shown, in the order of showing.

    ``None`` where packets alone do not tell: without timestamps, or where pictures of the opening
    group precede its key frame, which a decoder may or may not show.
    """
    shown = [position for position, packet in enumerate(packets) if not packet.is_discard]
    times = {packets[position].pts for position in shown}
    if not shown or None in times or len(times) < len(shown) or not packets[0].is_keyframe:
        return None
    first = packets[0].pts
    if first is None or any(packets[position].pts < first for position in shown):
        return None
    return sorted(shown, key=lambda position: packets[position].pts)


def _decode_runs(
    decoder: VideoCodecContext, packets: Sequence[Packet[VideoStream]], wanted: Sequence[int]
) -> list[VideoFrame] | None:
    """Return the frames of the packets at the wanted positions, or ``None`` if one is missing.

    One is missing where the container calls a picture a key frame from which decoding cannot
    start, as with gradual refresh.
    """
    times = [packets[position].pts for position in wanted]
    waiting = set(times)
    found: dict[int | None, VideoFrame] = {}
    depth = decoder.reorder_depth
    for run in _runs(packets, wanted):
        for frame in _decode(decoder, packets[run.start : run.stop], waiting):
            if frame.pts == packets[run.start].pts and not frame.key_frame:
                return None
            if frame.pts in waiting:
                found[frame.pts] = frame
        decoder.flush_buffers()
        decoder.reorder_depth = depth
    if found.keys() != waiting:
        return None
    return [found[time] for time in times]


def _runs(packets: Sequence[Packet[VideoStream]], wanted: Sequence[int]) -> list[range]:
    """Return the stretches of packets to decode: from a key frame to the last wanted picture.

    A picture that follows a key frame in the file and precedes it on the screen may refer to the
    group before (an open group of pictures), so that group is decoded too.
    """
    keys = [position for position, packet in enumerate(packets) if packet.is_keyframe]
    runs: list[range] = []
    for position in sorted(wanted):
        group = bisect_right(keys, position) - 1
        leads = packets[position].pts < packets[keys[group]].pts
        start = keys[group - 1] if leads else keys[group]
        if runs and start <= runs[-1].stop:
            runs[-1] = range(runs[-1].start, position + 1)
        else:
            runs.append(range(start, position + 1))
    return runs


def _decode(
    decoder: VideoCodecContext,
    packets: Sequence[Packet[VideoStream]],
    wanted_times: set[int | None] | None = None,
) -> Iterator[VideoFrame]:
    """Yield the frames of packets to the last; what is damaged is passed over.

    With ``wanted_times``, the decoder may drop other frames that nothing refers to.
    """
    import av

    for packet in (*packets, None):
        if wanted_times is not None and packet is not None:
            decoder.skip_frame = "DEFAULT" if packet.pts in wanted_times else "NONREF"
        try:
            yield from decoder.decode(packet)
        except av.error.InvalidDataError:
            continue
