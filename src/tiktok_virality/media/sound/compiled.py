"""What numba compiles for librosa: once in an environment, by one process at a time."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import Final

import numpy as np

from tiktok_virality.media.sound.tokens import SPEECH_STEP, describe_sound
from tiktok_virality.schema import SAMPLE_RATE_HZ

SECONDS: Final = 3


def compile_for_sound() -> None:
    """Have numba compile all that `describe_sound` calls, or load it, while no other process does.

    numba keeps what it has compiled beside librosa, a universal function in two parts. Where two
    processes compile it at once, one part is of the one and the other of the other, and every
    process that loads them from then on ends in a segmentation fault.
    """
    from filelock import FileLock

    samples, speech = _sound()
    with FileLock(_lock_path()):
        describe_sound(samples, speech, 0.5)


def _sound() -> tuple[np.ndarray, np.ndarray]:
    """Return a sound that leaves nothing out: a voice, clicks, noise and a pause."""
    rng = np.random.default_rng(0)
    time = np.arange(SECONDS * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    voice = sum(np.sin(2 * np.pi * 160 * harmonic * time) / harmonic for harmonic in range(1, 6))
    loud = (time % 0.5 < 0.3) & (time < SECONDS - 0.5)
    samples = 0.1 * loud * (voice + rng.normal(0, 0.3, len(time)))
    speech = np.full(-(-len(time) // SPEECH_STEP), 0.9)
    return samples.astype(np.float32), speech


def _lock_path() -> Path:
    import librosa

    whose = f"{Path(librosa.__file__).resolve()} {getattr(os, 'getuid', int)()}"
    return Path(gettempdir()) / f"librosa-{sha256(whose.encode()).hexdigest()[:16]}.lock"
