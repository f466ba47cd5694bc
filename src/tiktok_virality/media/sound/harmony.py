"""Which notes sound, how steadily, and in which mode."""

from __future__ import annotations

from typing import Final

import numpy as np

from tiktok_virality.media.sound.frames import HOP, on_frames, power_spectrogram
from tiktok_virality.schema import SAMPLE_RATE_HZ

NOTE_WINDOW: Final = 4096
"""Samples of a frame: 256 ms keep neighbouring notes apart from about 130 Hz on."""
NOTE_HOP: Final = 1600
MAJOR: Final = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR: Final = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""How well each note fits into a key, from its tonic on (Krumhansl and Kessler, 1982)."""


def frame_chroma(samples: np.ndarray, audible: np.ndarray) -> np.ndarray:
    """Return the share of each pitch class, C first, at every frame.

    Args:
        samples: float32 [samples] at 16 kHz, at least ``NOTE_WINDOW``.
        audible: Which frames are no pause, bool [frames].

    Returns:
        [12, frames]; each sums to 1, and pauses have all alike.
    """
    import librosa

    power = power_spectrogram(samples, NOTE_WINDOW, NOTE_HOP)
    chroma = librosa.feature.chroma_stft(
        S=power, sr=SAMPLE_RATE_HZ, n_fft=NOTE_WINDOW, tuning=0.0, norm=None
    )
    total = chroma.sum(axis=0)
    shares = np.where(total > 0, chroma / np.maximum(total, 1e-20), 1 / 12)
    return np.where(audible, on_frames(shares, NOTE_HOP, len(audible)), 1 / 12)


def clip_harmony(chroma: np.ndarray) -> dict[str, float]:
    """Describe the key of a clip and how steady its notes are.

    The key is the one whose profile goes with the clip's pitch classes best (Krumhansl and
    Schmuckler).

    Args:
        chroma: [12, frames], as `frame_chroma` gives it.
    """
    whole = chroma.mean(axis=1)
    major, minor = (_best_fit(whole, np.array(profile)) for profile in (MAJOR, MINOR))
    step = NOTE_HOP // HOP
    change = np.abs(np.diff(chroma[:, ::step], axis=1)).sum(axis=0)
    entropy = -(whole * np.log2(np.maximum(whole, 1e-9))).sum()
    return {
        "key clarity": max(major, minor),
        "major over minor": major - minor,
        "chroma change": float(change.mean()) if len(change) else 0.0,
        "chroma entropy": float(entropy),
    }


def _best_fit(whole: np.ndarray, profile: np.ndarray) -> float:
    """Return the correlation with the key that fits best, over twelve tonics."""
    if whole.std() < 1e-6:
        return 0.0
    return float(max(np.corrcoef(whole, np.roll(profile, tonic))[0, 1] for tonic in range(12)))
