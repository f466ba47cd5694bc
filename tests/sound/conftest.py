from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tiktok_virality.media.sound.tokens import SoundTokens, describe_sound
from tiktok_virality.models.voice_activity import VoiceDetector

Measure = Callable[[np.ndarray], dict[str, float]]


@pytest.fixture(scope="package")
def describe() -> Callable[[np.ndarray], SoundTokens]:
    """Describe a sound in tokens of half a second."""
    voice = VoiceDetector()
    return lambda samples: describe_sound(samples, voice.speech_probabilities([samples])[0], 0.5)


@pytest.fixture(scope="package")
def measure(describe) -> Measure:
    """Return the mean over tokens of everything measured, by name."""

    def mean(samples: np.ndarray) -> dict[str, float]:
        sound = describe(samples)
        return dict(zip(sound.names, sound.values.mean(axis=0).tolist(), strict=True))

    return mean
