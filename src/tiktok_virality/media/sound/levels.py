"""How loud a sound is, how its level varies, and where it pauses."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import numpy as np

from tiktok_virality.media.sound.frames import FRAME_SECONDS, HOP, decibels, frame_count, on_frames
from tiktok_virality.schema import SAMPLE_RATE_HZ

MOMENT: Final = int(0.4 * SAMPLE_RATE_HZ)
"""Samples that a momentary loudness speaks of (EBU Tech 3341)."""
METER_STEP: Final = SAMPLE_RATE_HZ // 10
"""Samples between the readings of the meter."""
FLOOR_LUFS: Final = -70.0
"""The absolute gate of BS.1770: what is softer is not heard as part of the programme."""
PAUSE_BELOW_DB: Final = 30.0
"""A frame this far below the loud ones is a pause."""
PAUSE_LEVEL_DB: Final = -55.0
"""So is one below this level of full scale."""


def frame_levels(samples: np.ndarray) -> dict[str, np.ndarray]:
    """Measure the level around every frame.

    Args:
        samples: float32 [samples] in [-1, 1] at 16 kHz, at least one.

    Returns:
        By name, [frames]: ``loudness``, the momentary loudness of EBU R128 in LUFS; ``level`` and
        ``peak`` of the frame in decibels of full scale; ``pause``, 1 where there is one.
    """
    count = frame_count(len(samples))
    padded = np.pad(samples, (MOMENT // 2, MOMENT // 2 + METER_STEP), mode="symmetric")
    readings = _meter(padded)[MOMENT // METER_STEP - 1 :]  # the first that have heard a moment
    loudness = np.array([reading["lavfi.r128.M"] for reading in readings])
    blocks = np.pad(samples, (0, count * HOP - len(samples))).reshape(count, HOP)
    level = decibels((blocks.astype(np.float64) ** 2).mean(axis=1))
    return {
        "loudness": on_frames(loudness, METER_STEP, count),
        "level": level,
        "peak": decibels(np.abs(blocks).max(axis=1).astype(np.float64) ** 2),
        "pause": _pauses(level).astype(np.float64),
    }


def clip_levels(samples: np.ndarray, frames: dict[str, np.ndarray]) -> dict[str, float]:
    """Measure the dynamics of a whole clip.

    Loudness and its range are those of EBU R128 and Tech 3342; the percentile ranges speak also of
    clips that are too short for them.

    Args:
        samples: float32 [samples] at 16 kHz.
        frames: What `frame_levels` says of it.
    """
    padded = np.pad(samples, MOMENT // 2, mode="symmetric") if len(samples) < MOMENT else samples
    programme = _meter(padded)[-1]
    loudness = programme["lavfi.r128.I"]
    peak = frames["peak"].max()
    power = float((samples.astype(np.float64) ** 2).mean())
    return {
        "programme loudness": loudness,
        "loudness range": programme["lavfi.r128.LRA"],
        "peak to loudness": peak - loudness,
        "clip crest": peak - float(decibels(np.array(power))),
        "loudness spread": _spread(frames["loudness"]),
        "level spread": _spread(frames["level"]),
        "level deviation": float(frames["level"].std()),
        "longest pause": _longest_run(frames["pause"] > 0) * FRAME_SECONDS,
    }


def _meter(samples: np.ndarray) -> list[dict[str, float]]:
    """Return the readings of ffmpeg's EBU R128 meter after every tenth of a second.

    Its sums over digital silence may come out a rounding error below zero, and be told as no
    number: that is the floor.
    """
    from av import AudioFrame
    from av.error import BlockingIOError as NothingYet
    from av.error import EOFError as NothingMore
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(
        format="fltp",
        sample_rate=SAMPLE_RATE_HZ,
        layout="mono",
        time_base=Fraction(1, SAMPLE_RATE_HZ),
    )
    meter = graph.add("ebur128", "metadata=1:framelog=quiet")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    frame = AudioFrame.from_ndarray(
        np.ascontiguousarray(samples[None], np.float32), format="fltp", layout="mono"
    )
    frame.sample_rate = SAMPLE_RATE_HZ
    frame.pts = 0
    source.push(frame)
    source.push(None)
    readings: list[dict[str, float]] = []
    while True:
        try:
            heard = sink.pull().metadata
        except (NothingYet, NothingMore):
            return readings
        if "lavfi.r128.M" in heard:  # what is left over at the end has no reading
            readings.append({key: _reading(float(text)) for key, text in heard.items()})


def _reading(value: float) -> float:
    return FLOOR_LUFS if np.isnan(value) else max(value, FLOOR_LUFS)


def _pauses(level: np.ndarray) -> np.ndarray:
    """Return which frames are pauses, bool [frames]."""
    loud = float(np.percentile(level, 95))
    return level < max(loud - PAUSE_BELOW_DB, PAUSE_LEVEL_DB)


def _spread(values: np.ndarray) -> float:
    low, high = np.percentile(values, (10, 95))
    return float(high - low)


def _longest_run(flags: np.ndarray) -> int:
    """Return the most flags in a row."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return int((edges[1::2] - edges[::2]).max(initial=0))
