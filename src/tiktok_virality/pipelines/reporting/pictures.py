"""The figures made of pixels: film strips and clip cards, as PNG and as parts of a page."""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.typing import NDArray

from tiktok_virality.pipelines.reporting.sample import SampledClip
from tiktok_virality.pipelines.reporting.target_words import TargetWords
from tiktok_virality.pipelines.reporting.wording import label, number

FRAMES_PER_STRIP: Final = 6
CARDS_PER_ROW: Final = 4
WORDS_WIDTH: Final = 34
LONGEST_WORDS: Final = 150
GAP_PIXELS: Final = 1
GREY: Final = 128

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class FilmStrip:
    """A few frames of a clip beside what the autoencoder made of them.

    Attributes:
        video_id: Key of the manifest.
        original: Frames side by side, RGB, uint8 [H, W, 3].
        reconstruction: The same frames after the autoencoder.
        error: Root mean squared error over all frames of the clip, in grey levels of 255.
    """

    video_id: str
    original: Pixels
    reconstruction: Pixels
    error: float


def film_strips(reconstructions: Mapping[str, Any]) -> list[FilmStrip]:
    """Return a strip per clip.

    Args:
        reconstructions: ``video_id`` [N], ``original`` and ``reconstruction`` uint8
            [N, T, 3, H, W], and ``length`` [N]: how many of the T frames a clip has.
    """
    clips = zip(
        reconstructions["video_id"],
        reconstructions["original"],
        reconstructions["reconstruction"],
        reconstructions["length"],
        strict=True,
    )
    return [
        _film_strip(str(video_id), original[:length], drawn[:length])
        for video_id, original, drawn, length in clips
    ]


def reconstructions_picture(strips: Sequence[FilmStrip]) -> Figure:
    """Draw strips below each other: originals above, reconstructions below."""
    figure = Figure(figsize=(9, max(1.5, 3.9 * len(strips))), layout="constrained")
    if not strips:
        return _saying(figure, "No held-out clip was drawn again.")
    for part, strip in zip(figure.subfigures(len(strips), squeeze=False).flat, strips, strict=True):
        part.suptitle(
            f"{strip.video_id}: error {number(strip.error, 1)} of 255 grey levels", fontsize=10
        )
        for axes, (name, pixels) in zip(
            part.subplots(2),
            (("original", strip.original), ("reconstruction", strip.reconstruction)),
            strict=True,
        ):
            axes.imshow(pixels, interpolation="nearest")
            axes.set_ylabel(name, fontsize=9)
            _without_axes(axes)
    return figure


def clip_sample_picture(clips: Sequence[SampledClip], words: TargetWords) -> Figure:
    """Draw a card per clip: thumbnail, truth and predictions, words."""
    rows = -(-len(clips) // CARDS_PER_ROW)
    figure = Figure(figsize=(12, max(1.5, 5.2 * rows)), layout="constrained")
    if not clips:
        return _saying(figure, "No clips were sampled.")
    grid = list(figure.subplots(rows, CARDS_PER_ROW, squeeze=False).flat)
    for axes in grid:
        axes.set_axis_off()
    for axes, clip in zip(grid, clips, strict=False):
        axes.set_axis_on()
        _without_axes(axes)
        if clip.thumbnail is not None:
            axes.imshow(clip.thumbnail.transpose(1, 2, 0))
        predicted = [f"{label(name)} {words.written(v)}" for name, v in clip.predicted.items()]
        axes.set_title("\n".join([f"actual {words.written(clip.actual)}", *predicted]), fontsize=10)
        speech = textwrap.shorten(spoken(clip), LONGEST_WORDS, placeholder=" …")
        axes.set_xlabel(textwrap.fill(speech, WORDS_WIDTH), fontsize=8, parse_math=False)
    return figure


def spoken(clip: SampledClip) -> str:
    """Return what is said in a clip, or that nothing is."""
    if clip.transcript is None:
        return "(no sound)"
    return clip.transcript.strip() or "(no words)"


def data_uri(pixels: Pixels, kind: str) -> str:
    """Return an image as text that a page can hold.

    Args:
        pixels: RGB, uint8 [H, W, 3].
        kind: ``png`` or ``jpeg``.
    """
    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(pixels), format=kind)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _film_strip(video_id: str, original: Pixels, drawn: Pixels) -> FilmStrip:
    shown = np.linspace(0, len(original) - 1, min(FRAMES_PER_STRIP, len(original)))
    chosen = shown.round().astype(int)
    difference = original.astype(np.float64) - drawn
    return FilmStrip(
        video_id=video_id,
        original=_side_by_side(original[chosen]),
        reconstruction=_side_by_side(drawn[chosen]),
        error=float(np.sqrt(np.mean(difference**2))),
    )


def _side_by_side(frames: Pixels) -> Pixels:
    """Join frames [T, 3, H, W] to one image [H, W', 3] with a thin gap between them."""
    padded = np.pad(
        frames, ((0, 0), (0, 0), (0, 0), (0, GAP_PIXELS)), constant_values=GREY
    ).transpose(2, 0, 3, 1)  # [H, T, W + gap, 3]
    height, count_, width, channels = padded.shape
    return padded.reshape(height, count_ * width, channels)[:, :-GAP_PIXELS]


def _without_axes(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _saying(figure: Figure, words: str) -> Figure:
    figure.text(0.5, 0.5, words, ha="center", va="center")
    return figure
