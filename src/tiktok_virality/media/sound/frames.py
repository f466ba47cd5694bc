"""The grid of frames, 10 ms apart, that every measurement of a sound is brought to."""

from __future__ import annotations

from typing import Final

import numpy as np

from tiktok_virality.schema import SAMPLE_RATE_HZ

HOP: Final = 160
"""Samples between frames."""
FRAME_SECONDS: Final = HOP / SAMPLE_RATE_HZ
WINDOW: Final = 512
"""Samples of a frame: 32 ms, two periods of the lowest voices."""
SHORTEST: Final = 4096
"""Samples that the widest analysis window needs; a shorter clip is measured with silence after."""
FLOOR_DB: Final = -80.0
"""Levels below are told as this one, in decibels of full scale."""


def frame_count(samples: int) -> int:
    """Return how many frames a clip has, at least one."""
    return max(1, -(-samples // HOP))


def on_frames(values: np.ndarray, step_samples: int, count: int) -> np.ndarray:
    """Bring a series of another step, [..., steps], to the grid: [..., count].

    A frame is given the value of the step that it begins in; the last value goes on to the end.
    """
    step = np.arange(count) * HOP // step_samples
    return values[..., np.minimum(step, values.shape[-1] - 1)]


def power_spectrogram(samples: np.ndarray, window: int = WINDOW, hop: int = HOP) -> np.ndarray:
    """Return the power of every frame by frequency.

    Args:
        samples: float32 [samples], at least as many as ``window``.
        window: Samples of a frame.
        hop: Samples between frames.

    Returns:
        float32 [1 + window / 2, frames]; a full-scale sine has 1 at its frequency.
    """
    import librosa

    amplitude = np.abs(librosa.stft(samples, n_fft=window, hop_length=hop))
    amplitude *= 4 / window  # a Hann window sums to half its length
    return amplitude**2


def decibels(power: np.ndarray) -> np.ndarray:
    """Return power relative to full scale in decibels, not below ``FLOOR_DB``."""
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))


def token_count(frames: int, frames_per_token: int) -> int:
    """Return how many tokens a clip has; half a token or more left over is one."""
    return max(1, (frames + frames_per_token // 2) // frames_per_token)


def token_starts(frames: int, frames_per_token: int) -> np.ndarray:
    """Return the first frame of every token, [T]."""
    return np.arange(token_count(frames, frames_per_token)) * frames_per_token


def token_means(series: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Average a series [..., frames] within tokens: float64 [..., T]."""
    lengths = np.diff(np.append(starts, series.shape[-1]))
    return np.add.reduceat(series.astype(np.float64), starts, axis=-1) / lengths


def token_deviations(series: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the standard deviation of a series [..., frames] within tokens, [..., T]."""
    lengths = np.diff(np.append(starts, series.shape[-1]))
    apart = series - np.repeat(token_means(series, starts), lengths, axis=-1)
    return np.sqrt(token_means(apart**2, starts))
