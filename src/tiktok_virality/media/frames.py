"""Sparse frame decoding: only the groups of pictures that hold a wanted frame are decoded."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from pydantic import Field

from tiktok_virality.media.container import choose_video_stream, open_container, read_packets
from tiktok_virality.media.geometry import Layout, Orientation, fit_within
from tiktok_virality.media.tone_mapping import is_high_range, map_tones
from tiktok_virality.schema import Config, MediaError

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

    VideoPacket = Packet[VideoStream]

MICROSECONDS = 1_000_000
RARE_FRAMES_HZ = 15.0
"""Where frames are shown more slowly than this, they are counted by time, as if at this rate."""
NOMINAL_FRAMES_HZ = 25.0
"""Of a stream that does not say when its frames are shown."""
ROUNDING_SECONDS = 1e-3


class FrameSampling(Config):
    """Which frames of a clip become tokens, and at what size.

    Every clip is scaled, keeping its shape, into the same canvas and centred there on black.

    Attributes:
        every_nth: Keep frames 0, n, 2n, ... in the order in which they are shown. A frame that
            follows the last one kept by n / `RARE_FRAMES_HZ` seconds is kept, too: a slide show of
            a picture every two seconds has few frames, and each is a picture of its own.
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

    def indices(self, seconds: np.ndarray) -> list[int]:
        """Return which frames to keep, ascending, of those that are shown at these times."""
        longest = self.every_nth / RARE_FRAMES_HZ
        wanted = np.array(places_apart(seconds, longest, self.every_nth), dtype=int)
        if self.max_frames is not None and len(wanted) > self.max_frames:
            spread = np.linspace(0, len(wanted) - 1, self.max_frames)
            wanted = wanted[spread.round().astype(int)]
        return wanted.tolist()

    def layout(self, width: float, height: float) -> Layout:
        """Return where on the canvas a frame lies that is shown at this size."""
        canvas = (self.width, self.height)
        return Layout(canvas=canvas, fitted=fit_within(width, height, canvas))


def places_apart(seconds: np.ndarray, apart: float, frames: float = math.inf) -> list[int]:
    """Return the first place, and each that is so many seconds or frames from the one before."""
    places = [0] if len(seconds) else []
    for place in range(1, len(seconds)):
        passed = seconds[place] - seconds[places[-1]]
        if place - places[-1] >= frames or passed >= apart - ROUNDING_SECONDS:
            places.append(place)
    return places


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


class Sampling(Protocol):
    """Which frames of a clip are wanted, and how each is laid out."""

    def indices(self, seconds: np.ndarray) -> list[int]:
        """Return which frames to keep, ascending, of those that are shown at these times."""
        ...

    def layout(self, width: float, height: float) -> Layout:
        """Return where on its canvas a frame lies that is shown at this size."""
        ...


def sample_frames(path: Path, sampling: Sampling) -> FrameTensor:
    """Decode the wanted frames of a clip: those that decoding everything and picking would give.

    Args:
        path: A file with at least one video stream.
        sampling: What to keep.

    Returns:
        The frames, upright and in the order in which they are shown.

    Raises:
        MediaError: The file cannot be opened, holds no video stream, or no decodable frame.
    """
    return sample_together(path, [sampling])[0]


def sample_together(path: Path, samplings: Sequence[Sampling]) -> list[FrameTensor]:
    """Decode a clip once for several samplings; each gives what `sample_frames` would give.

    Decoding uses one thread: stages run one process per core.

    Raises:
        MediaError: The file cannot be opened, holds no video stream, no decodable frame, or more
            than any clip does.
    """
    with open_container(path) as container:
        stream = choose_video_stream(container)
        stream.codec_context.thread_count = 1
        packets = [packet for packet in read_packets(path, container, stream) if packet.size]
        aspect = float(stream.sample_aspect_ratio or 1)
        takers = [_Taker(sampling=each, pixel_aspect=aspect) for each in samplings]
        tick_seconds = stream.time_base or Fraction(1)
        if not _sparsely(stream.codec_context, packets, tick_seconds, takers):
            _by_decoding_everything(stream.codec_context, packets, tick_seconds, takers)
        if not all(taker.taken for taker in takers):
            raise MediaError("unreadable", f"{path.name}: no frame can be decoded")
        start_seconds = Fraction(container.start_time or 0, MICROSECONDS)
    return [taker.frames(tick_seconds, start_seconds) for taker in takers]


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """A frame at its final size, uint8 [3, H, W], and when it is shown, in stream ticks."""

    pts: int
    pixels: np.ndarray


@dataclass(kw_only=True)
class _Taker:
    """Takes the frames of one sampling: scales each once, to its final size, and upright.

    Attributes:
        sampling: What to take.
        pixel_aspect: Width of a coded pixel over its height.
        wanted: Places of the frames to take, in the order in which they are shown.
        taken: What was taken, by place.
    """

    sampling: Sampling
    pixel_aspect: float
    wanted: frozenset[int] = frozenset()
    taken: dict[int, _Picture] = field(default_factory=dict)
    _canvas: tuple[int, int] | None = None

    def start(self, seconds: np.ndarray) -> None:
        """Choose among frames shown at these times, and forget what was taken before."""
        self.wanted = frozenset(self.sampling.indices(seconds))
        self.taken, self._canvas = {}, None

    def offer(self, place: int, frame: VideoFrame) -> None:
        """Take a frame if it is wanted."""
        if place in self.wanted:
            self.taken[place] = self._scale(frame)

    def frames(self, tick_seconds: Fraction, start_seconds: Fraction) -> FrameTensor:
        """Return what was taken, in the order in which it is shown."""
        pictures = [self.taken[place] for place in sorted(self.taken)]
        times = [picture.pts * tick_seconds - start_seconds for picture in pictures]
        return FrameTensor(
            pixels=np.stack([picture.pixels for picture in pictures]),
            timestamps_seconds=np.array(times, dtype=np.float32),
        )

    @cached_property
    def _reformatter(self) -> VideoReformatter:
        from av.video.reformatter import VideoReformatter

        return VideoReformatter()

    def _colours(self, frame: VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Return a frame at a size, as coded, with the colours that a screen shows, [h, w, 3]."""
        if not is_high_range(frame.color_trc):
            return self._reformatter.reformat(frame, *size, "rgb24", threads=1).to_ndarray()
        wide = self._reformatter.reformat(frame, *size, "rgb48le", threads=1)
        return map_tones(
            wide.to_ndarray().astype(np.uint16), frame.color_trc, frame.color_primaries
        )

    def _layout(self, width: float, height: float) -> Layout:
        """Lay a frame out; should the stream change its shape, the canvas of the first remains."""
        layout = self.sampling.layout(width, height)
        canvas = self._canvas = self._canvas or layout.canvas
        if layout.canvas == canvas:
            return layout
        return Layout(canvas=canvas, fitted=fit_within(width, height, canvas))

    def _scale(self, frame: VideoFrame) -> _Picture:
        orientation = Orientation.of(frame)
        shown = orientation.size(frame.width * self.pixel_aspect, frame.height)
        (width, height), fitted = self._layout(*shown)
        coded = orientation.size(*fitted)
        scaled = self._colours(frame, coded)
        left, top = (width - fitted[0]) // 2, (height - fitted[1]) // 2
        pixels = np.zeros((3, height, width), dtype=np.uint8)
        upright = orientation.apply(scaled).transpose(2, 0, 1)  # [3, h, w]
        pixels[:, top : top + fitted[1], left : left + fitted[0]] = upright
        return _Picture(pts=frame.pts or 0, pixels=pixels)


def _sparsely(
    decoder: VideoCodecContext,
    packets: Sequence[VideoPacket],
    tick_seconds: Fraction,
    takers: Sequence[_Taker],
) -> bool:
    """Decode only what the wanted frames need; ``False`` where the packets do not tell what it is.

    They mislead where the container calls a picture a key frame from which decoding cannot start,
    as with gradual refresh.
    """
    times = [packet.pts for packet in packets if packet.pts is not None]
    order = _presentation_order(packets, times)
    if order is None:
        return False
    seconds = np.array([times[position] for position in order]) * float(tick_seconds)
    for taker in takers:
        taker.start(seconds)
    places = sorted(frozenset().union(*(taker.wanted for taker in takers)))
    waiting = {times[order[place]]: place for place in places}
    depth = decoder.reorder_depth
    for run in _runs(packets, times, [order[place] for place in places]):
        for frame in _decode(decoder, packets[run.start : run.stop], waiting.keys()):
            if frame.pts == times[run.start] and not frame.key_frame:
                return False
            if frame.pts is not None and frame.pts in waiting:
                for taker in takers:
                    taker.offer(waiting[frame.pts], frame)
        decoder.reorder_depth = depth  # flushing may forget it, and learning anew costs pictures
    return all(taker.taken.keys() == taker.wanted for taker in takers)


def _by_decoding_everything(
    decoder: VideoCodecContext,
    packets: Sequence[VideoPacket],
    tick_seconds: Fraction,
    takers: Sequence[_Taker],
) -> None:
    """Decode every frame twice: to know when each is shown, and to take those that are wanted."""
    times = [frame.pts for frame in _decode(decoder, packets)]
    known = [pts * float(tick_seconds) for pts in times if pts is not None]
    seconds = np.array(known if len(known) == len(times) else np.arange(len(times)), float)
    if len(known) < len(times):
        seconds /= NOMINAL_FRAMES_HZ
    for taker in takers:
        taker.start(seconds)
    for place, frame in enumerate(_decode(decoder, packets)):
        for taker in takers:
            taker.offer(place, frame)


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
    wanted_times: Collection[int] | None = None,
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
