"""Sounds that are made for tests: float32 [samples] at 16 kHz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tiktok_virality.execution import StageItem
from tiktok_virality.schema import SAMPLE_RATE_HZ


@dataclass
class InMemory:
    """What a stage item loads."""

    samples: np.ndarray

    def load(self):
        return {"samples": self.samples}


def sound_item(video_id: str, samples: np.ndarray) -> StageItem:
    return StageItem(video_id=video_id, digest=video_id, payload=InMemory(samples))


def times(seconds: float) -> np.ndarray:
    return np.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ


def sine(hertz: float, seconds: float = 4.0, amplitude: float = 0.3) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hertz * times(seconds))).astype(np.float32)


def noise(seconds: float = 4.0, amplitude: float = 0.1, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (amplitude * rng.normal(size=round(seconds * SAMPLE_RATE_HZ))).astype(np.float32)


def clicks(bpm: float, seconds: float = 6.0) -> np.ndarray:
    """Return 10 ms bursts of noise at a steady tempo."""
    track = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    burst = noise(0.01, 0.3)
    for start in np.arange(0.1, seconds - 0.02, 60 / bpm):
        first = round(start * SAMPLE_RATE_HZ)
        track[first : first + len(burst)] = burst
    return track


def chords(semitones: tuple[int, ...], seconds: float = 4.0, root_hertz: float = 261.63):
    """Return notes in turn, half a second each, with overtones."""
    parts = []
    for place in range(round(2 * seconds)):
        hertz = root_hertz * 2 ** (semitones[place % len(semitones)] / 12)
        parts.append(
            sum(sine(hertz * k, 0.5, 0.2 / k) for k in (1, 2, 3)) * np.exp(-3 * times(0.5))
        )
    return np.concatenate(parts).astype(np.float32)


def speech(pitch: int = 50, text: str = "Stir the soup until it is thick, and then add the salt."):
    """Let eSpeak NG speak; skip where it is not installed."""
    pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")
    from tiktok_virality.demo.speech import SPEECH_RATE_HZ, speak

    said = speak(text, voice="en-us", words_per_minute=150, pitch=pitch)
    at = times(len(said) / SPEECH_RATE_HZ)
    return np.interp(at, np.arange(len(said)) / SPEECH_RATE_HZ, said).astype(np.float32)
