"""When sounds begin, how regularly they do, and how fast their envelopes move."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from tiktok_virality.media.sound.frames import FLOOR_DB, FRAME_SECONDS, HOP
from tiktok_virality.schema import SAMPLE_RATE_HZ

ONSET_LAG: Final = 2
"""Frames between which energy must rise."""
CLEAR_ONSET_DB: Final = 3.0
"""Mean rise over all bands that is a clear beginning, whatever else sounds in the clip."""
LONGEST_BEAT_SECONDS: Final = 2.0
TEMPO_EDGES_BPM: Final = (40, 55, 70, 85, 100, 115, 130, 150, 175, 205, 240)
USUAL_BPM: Final = 120.0
"""Told of clips without any pulse, and preferred among multiples (Ellis, 2007)."""
MODULATION_EDGES_HZ: Final = (0.5, 1, 2, 3, 6, 12, 25)
"""Speech moves at 3 to 6 Hz, the rate of syllables (Scheirer and Slaney, 1997)."""


def onset_strength(levels: np.ndarray) -> np.ndarray:
    """Return by how many decibels the bands rise on average at every frame, [frames].

    Rises are counted against the loudest neighbouring band, so that vibrato is none (SuperFlux,
    Böck and Widmer, 2013).

    Args:
        levels: [bands, frames] in decibels.
    """
    import librosa

    strength = librosa.onset.onset_strength(
        S=np.pad(levels, ((0, 0), (0, ONSET_LAG)), mode="edge"),
        sr=SAMPLE_RATE_HZ,
        hop_length=HOP,
        lag=ONSET_LAG,
        max_size=3,
        center=False,
    )
    return np.asarray(strength[: levels.shape[1]], dtype=np.float64)


def frame_onsets(strength: np.ndarray) -> dict[str, np.ndarray]:
    """Find the frames at which something begins.

    Args:
        strength: As `onset_strength` gives it, [frames].

    Returns:
        By name, [frames], in onsets per second, so that means are rates: ``onsets`` judged by the
        strongest in the clip, as librosa does by default, and ``clear onsets`` by a fixed measure.
    """
    import librosa

    found = librosa.onset.onset_detect(onset_envelope=strength, sr=SAMPLE_RATE_HZ, hop_length=HOP)
    clear = found[strength[found] >= CLEAR_ONSET_DB]
    return {
        "onsets": _rate(found, len(strength)),
        "clear onsets": _rate(clear, len(strength)),
    }


def clip_tempo(strength: np.ndarray) -> dict[str, float]:
    """Find the pulse of a clip.

    The tempo is the likeliest period of the onset strength's autocorrelation with a log-normal
    prior (Ellis, 2007); how clear the pulse is, the height of that peak (Lartillot et al., 2008).

    Args:
        strength: As `onset_strength` gives it, [frames].
    """
    import librosa

    longest = round(LONGEST_BEAT_SECONDS / FRAME_SECONDS)
    repeats = np.zeros(longest + 1)
    likeness = librosa.autocorrelate(strength - strength.mean(), max_size=longest + 1)
    if likeness[0] > 1e-6:
        repeats[: len(likeness)] = likeness / likeness[0]
    bpm = _tempo(repeats)
    lag = min(longest, round(60 / bpm / FRAME_SECONDS))
    tempi = 60 / (np.arange(1, longest + 1) * FRAME_SECONDS)
    return {
        "beats per second": bpm / 60,
        "tempo octaves": float(np.log2(bpm / USUAL_BPM)),
        "pulse clarity": float(repeats[lag]),
        **{
            f"pulse {low} to {high} bpm": float(
                repeats[1:][(tempi >= low) & (tempi < high)].max(initial=-1.0)
            )
            for low, high in pairwise(TEMPO_EDGES_BPM)
        },
    }


def clip_modulation(levels: np.ndarray) -> dict[str, float]:
    """Return how much of the movement of the bands' envelopes is how fast.

    Args:
        levels: [bands, frames] in decibels.

    Returns:
        By name: the deviation within each range of rates, relative to the envelope's mean; loud
        bands count for more.
    """
    envelope = 10 ** (levels.astype(np.float64) / 20) - 10 ** (FLOOR_DB / 20)
    mean = np.maximum(envelope.mean(axis=1, keepdims=True), 1e-9)
    envelope = envelope / mean - 1
    size = max(levels.shape[1], round(2 / FRAME_SECONDS))
    power = np.abs(np.fft.rfft(envelope, size, axis=1)) ** 2 / (size * levels.shape[1])
    hertz = np.fft.rfftfreq(size, FRAME_SECONDS)
    weight = mean[:, 0] / mean.sum()
    return {
        f"modulation {low} to {high} Hz": float(
            weight @ np.sqrt(2 * power[:, (hertz >= low) & (hertz < high)].sum(axis=1))
        )
        for low, high in pairwise(MODULATION_EDGES_HZ)
    }


def _tempo(repeats: np.ndarray) -> float:
    """Return beats per minute of an autocorrelation by lag, [lags]."""
    import librosa

    if repeats.max(initial=0.0) <= 0:
        return USUAL_BPM
    found = librosa.feature.tempo(
        tg=np.maximum(repeats, 0)[:, None],
        sr=SAMPLE_RATE_HZ,
        hop_length=HOP,
        start_bpm=USUAL_BPM,
        aggregate=np.mean,
    )
    return float(found[0])


def _rate(onsets: np.ndarray, count: int) -> np.ndarray:
    rate = np.zeros(count)
    rate[onsets] = 1 / FRAME_SECONDS
    return rate
