"""Where in a clip somebody speaks, by Silero's voice detector; its weights ship in its package."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tiktok_virality.schema import SAMPLE_RATE_HZ

FRAME_SAMPLES: Final = 512
"""The detector hears 32 ms at a time."""

TOGETHER: Final = 4
"""Clips that it hears at once: as quick as one, and always as many, so that each is judged to the
last bit as if it were alone."""

REMEMBERED: Final = 64
"""Clips whose probabilities a process remembers: two encoders of sound ask about the same."""

_heard: OrderedDict[bytes, np.ndarray] = OrderedDict()


@dataclass(frozen=True)
class SpeechSpan:
    """Seconds of a clip in which somebody speaks: from ``start_seconds`` to ``end_seconds``."""

    start_seconds: float
    end_seconds: float

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end_seconds - self.start_seconds

    def overlap_seconds(self, start_seconds: float, end_seconds: float) -> float:
        """Return how much of the span lies between two times."""
        return max(0.0, min(self.end_seconds, end_seconds) - max(self.start_seconds, start_seconds))


class VoiceDetector:
    """Hears many clips at once; each is judged as if it were alone.

    Args:
        threshold: Sound is speech from this probability on, in (0, 1).
    """

    def __init__(self, threshold: float = 0.5) -> None:
        with _same_number_of_threads():
            import silero_vad

            self._model: Any = silero_vad.load_silero_vad()
        self._threshold = threshold

    def find_speech(self, waveforms: Sequence[np.ndarray]) -> list[list[SpeechSpan]]:
        """Return the spans of speech of each waveform, float32 [samples] at 16 kHz, in order."""
        heard = self.speech_probabilities(waveforms)
        return [
            self._spans(row, len(waveform)) for row, waveform in zip(heard, waveforms, strict=True)
        ]

    def speech_probabilities(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return how likely each 32 ms of each waveform are speech, [frames], at least one.

        Args:
            waveforms: float32 [samples] at 16 kHz each; the last frame of each is padded.
        """
        keys = [hashlib.sha256(each.tobytes()).digest() for each in waveforms]
        known = {key: row for key in keys if (row := _heard.get(key)) is not None}
        new = {k: w for k, w in zip(keys, waveforms, strict=True) if k not in known}
        names, sounds = list(new), list(new.values())
        for first in range(0, len(new), TOGETHER):
            part = slice(first, first + TOGETHER)
            known |= zip(names[part], self._hear(sounds[part]), strict=True)
        _remember(known)
        return [known[key] for key in keys]

    def _hear(self, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Padding comes after a clip and the detector looks back only, so it changes nothing."""
        import torch

        counts = [max(1, _frames(len(waveform))) for waveform in waveforms]
        sound = torch.zeros(TOGETHER, max(counts) * FRAME_SAMPLES)
        for row, waveform in zip(sound, waveforms, strict=False):
            row[: len(waveform)] = torch.tensor(waveform)
        self._model.reset_states()
        with torch.inference_mode(), _one_thread():
            heard = [
                self._model(part, SAMPLE_RATE_HZ) for part in torch.split(sound, FRAME_SAMPLES, 1)
            ]
        rows = torch.cat(heard, dim=1).double().numpy()
        return [row[:count] for row, count in zip(rows, counts, strict=False)]

    def _spans(self, probabilities: np.ndarray, samples: int) -> list[SpeechSpan]:
        from silero_vad import get_speech_timestamps_from_probs

        found = get_speech_timestamps_from_probs(
            probabilities[: _frames(samples)].tolist(),
            threshold=self._threshold,
            sampling_rate=SAMPLE_RATE_HZ,
            audio_length_samples=samples,
        )
        return [
            SpeechSpan(span["start"] / SAMPLE_RATE_HZ, span["end"] / SAMPLE_RATE_HZ)
            for span in found
        ]


def _remember(heard: dict[bytes, np.ndarray]) -> None:
    for key, probabilities in heard.items():
        probabilities.setflags(write=False)  # everybody gets the same
        _heard[key] = probabilities
        _heard.move_to_end(key)
    while len(_heard) > REMEMBERED:
        _heard.popitem(last=False)


def _frames(samples: int) -> int:
    return -(-samples // FRAME_SAMPLES)


@contextmanager
def _same_number_of_threads() -> Iterator[None]:
    """Undo what happens to torch's threads inside: the package sets them to one on import."""
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Frames are so small that a second thread costs more than it brings."""
    import torch

    with _same_number_of_threads():
        torch.set_num_threads(1)
        yield
