"""How the energy of a sound lies over frequency."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from tiktok_virality.media.sound.frames import FLOOR_DB, HOP, WINDOW, decibels, token_means
from tiktok_virality.schema import SAMPLE_RATE_HZ

MEL_BANDS: Final = 40
BAND_EDGES_HZ: Final = (0, 100, 200, 300, 500, 1000, 2000, 4000, 8000)
"""Of the bands whose shares of the energy are told: octaves, with the bass in more detail."""
ROLL_OFF_SHARE: Final = 0.85
HERTZ_FLOOR: Final = 50.0
"""Frequencies are told as octaves above this one; silence has none."""


def log_mel(power: np.ndarray) -> np.ndarray:
    """Return levels by mel band in decibels of full scale, [MEL_BANDS, frames]."""
    import librosa

    mel = librosa.feature.melspectrogram(
        S=power, sr=SAMPLE_RATE_HZ, n_mels=MEL_BANDS, n_fft=WINDOW, norm=None
    )
    return decibels(mel)


def frame_spectrum(power: np.ndarray) -> dict[str, np.ndarray]:
    """Describe the shape of every frame's spectrum, as librosa and MPEG-7 do.

    Args:
        power: [257, frames].

    Returns:
        By name, [frames]: centroid, bandwidth and roll-off in kHz, zero for digital silence; the
        centroid in octaves; the flatness in decibels, from ``FLOOR_DB`` for a tone to 0.
    """
    import librosa

    amplitude = np.sqrt(power)
    centroid = librosa.feature.spectral_centroid(S=amplitude, sr=SAMPLE_RATE_HZ)
    bandwidth = librosa.feature.spectral_bandwidth(
        S=amplitude, sr=SAMPLE_RATE_HZ, centroid=centroid
    )
    roll_off = librosa.feature.spectral_rolloff(
        S=amplitude, sr=SAMPLE_RATE_HZ, roll_percent=ROLL_OFF_SHARE
    )
    flatness = librosa.feature.spectral_flatness(S=amplitude)
    return {
        "centroid": centroid[0] / 1000,
        "centroid octaves": _octaves(centroid[0]),
        "bandwidth": bandwidth[0] / 1000,
        "roll-off": roll_off[0] / 1000,
        "flatness": np.maximum(10 * np.log10(np.maximum(flatness[0], 1e-10)), FLOOR_DB),
    }


def zero_crossings(samples: np.ndarray, count: int) -> np.ndarray:
    """Return the share of samples at which the sign changes, [count]."""
    import librosa

    rate = librosa.feature.zero_crossing_rate(samples, frame_length=WINDOW, hop_length=HOP)
    return rate[0, :count]


def token_spectrum(power: np.ndarray, starts: np.ndarray) -> dict[str, np.ndarray]:
    """Describe the energy of every token, loud moments counting for more.

    Args:
        power: [257, frames].
        starts: First frames of the tokens, [T].

    Returns:
        By name, [T].
    """
    return _balance(token_means(power, starts))


def clip_spectrum(power: np.ndarray) -> dict[str, float]:
    """Describe the energy of a whole clip, [257, frames]."""
    whole = power.mean(axis=1, keepdims=True, dtype=np.float64)
    return {f"clip {name}": float(values[0]) for name, values in _balance(whole).items()}


def _balance(power: np.ndarray) -> dict[str, np.ndarray]:
    """Return shares by band, and the centroid, of spectra [257, T]."""
    hertz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(power))[:, None]
    total = np.maximum(power.sum(axis=0), 1e-20)
    centroid = (hertz * power).sum(axis=0) / total
    shares = {}
    for low, high in pairwise(BAND_EDGES_HZ):
        inside = (hertz[:, 0] >= low) & (hertz[:, 0] < high)
        share = power[inside].sum(axis=0) / total
        shares[f"share {low} to {high} Hz"] = share
        shares[f"level {low} to {high} Hz"] = 10 * np.log10(np.maximum(share, 1e-4))
    return {
        **shares,
        "energy centroid": centroid / 1000,
        "energy centroid octaves": _octaves(centroid),
    }


def _octaves(hertz: np.ndarray) -> np.ndarray:
    return np.log2(np.maximum(hertz, HERTZ_FLOOR) / HERTZ_FLOOR)
