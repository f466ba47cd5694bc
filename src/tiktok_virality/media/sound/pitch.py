"""How high a sound is, and how clearly it has a pitch at all."""

from __future__ import annotations

from typing import Final

import numpy as np

from tiktok_virality.media.sound.frames import on_frames
from tiktok_virality.schema import SAMPLE_RATE_HZ

LOWEST_HZ: Final = 65.0
HIGHEST_HZ: Final = 1000.0
PITCH_WINDOW: Final = 1024
PITCH_HOP: Final = 320
VOICED_FROM: Final = 0.6
"""Least correlation of a frame with itself one period later that is a pitch; Praat's manual has
0.45 for clean voices, and sounds under which music plays want more."""
REFERENCE_HZ: Final = 55.0
"""Pitches are told in semitones above this one, an A."""
NO_PITCH_SEMITONES: Final = 18.0
"""What is told of clips without any pitch: the middle of voices, about 155 Hz."""


def frame_pitch(samples: np.ndarray, audible: np.ndarray) -> dict[str, np.ndarray]:
    """Find the pitch at every frame.

    The period is YIN's (de Cheveigne and Kawahara, 2002). Its strength is the normalised
    correlation of the frame with itself one period later, r; the ratio of harmonic sound to noise
    is r / (1 - r) (Boersma, 1993).

    Args:
        samples: float32 [samples] at 16 kHz, at least ``PITCH_WINDOW``.
        audible: Which frames are no pause, bool [frames].

    Returns:
        By name, [frames]: ``voiced``, 1 where there is a pitch; ``pitch`` in semitones, that of
        the clip's average where there is none; ``harmonicity`` in decibels, from -20 to 30.
    """
    import librosa

    hertz = librosa.yin(
        samples,
        fmin=LOWEST_HZ,
        fmax=HIGHEST_HZ,
        sr=SAMPLE_RATE_HZ,
        frame_length=PITCH_WINDOW,
        hop_length=PITCH_HOP,
    )
    strength = on_frames(_periodicity(samples, hertz), PITCH_HOP, len(audible))
    semitones = on_frames(12 * np.log2(hertz / REFERENCE_HZ), PITCH_HOP, len(audible))
    voiced = audible & (strength >= VOICED_FROM)
    mean = semitones[voiced].mean() if voiced.any() else NO_PITCH_SEMITONES
    share = np.clip(np.where(audible, strength, 0), 0.01, 0.999)
    return {
        "voiced": voiced.astype(np.float64),
        "pitch": np.where(voiced, semitones, mean),
        "harmonicity": 10 * np.log10(share / (1 - share)),
    }


def clip_pitch(frames: dict[str, np.ndarray], speech: np.ndarray) -> dict[str, float]:
    """Describe the pitch of a clip, and that of its voice where somebody speaks.

    Args:
        frames: What `frame_pitch` says of it.
        speech: Probability that a frame is speech, [frames].
    """
    voiced = frames["voiced"] > 0
    spoken = voiced & (speech > 0.5)
    return {
        **_melody("pitch", frames["pitch"][voiced]),
        **_melody("voice pitch", frames["pitch"][spoken if spoken.any() else voiced]),
    }


def _periodicity(samples: np.ndarray, hertz: np.ndarray) -> np.ndarray:
    """Return the correlation of each frame with itself one period later, [steps] in [-1, 1]."""
    lag = np.rint(SAMPLE_RATE_HZ / hertz).astype(int)
    width = PITCH_WINDOW // 2
    padded = np.pad(samples, PITCH_WINDOW // 2 + width)
    starts = np.arange(len(hertz))[:, None] * PITCH_HOP + width + np.arange(width)
    here = padded[starts].astype(np.float64)  # [steps, width]
    later = padded[starts + lag[:, None]].astype(np.float64)
    here -= here.mean(axis=1, keepdims=True)
    later -= later.mean(axis=1, keepdims=True)
    scale = np.sqrt((here**2).sum(axis=1) * (later**2).sum(axis=1))
    return (here * later).sum(axis=1) / np.maximum(scale, 1e-9)


def _melody(name: str, semitones: np.ndarray) -> dict[str, float]:
    """Return the middle and the spread of pitches, in semitones and in hundreds of hertz."""
    if len(semitones) == 0:
        semitones = np.array([NO_PITCH_SEMITONES])
    hertz = REFERENCE_HZ * 2 ** (semitones / 12)
    low, middle, high = np.percentile(semitones, (10, 50, 90))
    return {
        f"{name} mean": float(semitones.mean()),
        f"{name} median": float(middle),
        f"{name} hundred hertz": float(np.median(hertz)) / 100,
        f"{name} deviation": float(semitones.std()),
        f"{name} range": float(high - low),
    }
