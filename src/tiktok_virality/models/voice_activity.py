"""Where in a clip somebody speaks, by Silero's voice detector; its weights ship in its package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tiktok_virality.schema import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from torch import Tensor

FRAME_SAMPLES: Final = 512
"""The detector hears 32 ms at a time."""


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
        if not waveforms:
            return []
        probabilities = self._probabilities(waveforms)  # [B, frames]
        return [
            self._spans(row, len(waveform))
            for row, waveform in zip(probabilities, waveforms, strict=True)
        ]

    def speech_probability(self, waveform: np.ndarray) -> np.ndarray:
        """Return how likely each 32 ms are speech, [frames], at least one; the last is padded.

        Args:
            waveform: float32 [samples] at 16 kHz.
        """
        return np.asarray(self._probabilities([waveform])[0].numpy(), dtype=np.float64)

    def _probabilities(self, waveforms: Sequence[np.ndarray]) -> Tensor:
        """Padding comes after a clip and the detector looks back only, so it changes nothing."""
        import torch

        frames = max(1, max(_frames(len(waveform)) for waveform in waveforms))
        sound = torch.zeros(len(waveforms), frames * FRAME_SAMPLES)
        for row, waveform in zip(sound, waveforms, strict=True):
            row[: len(waveform)] = torch.tensor(waveform)
        self._model.reset_states()
        with torch.inference_mode(), _one_thread():
            heard = [
                self._model(part, SAMPLE_RATE_HZ) for part in torch.split(sound, FRAME_SAMPLES, 1)
            ]
        return torch.cat(heard, dim=1)

    def _spans(self, probabilities: Tensor, samples: int) -> list[SpeechSpan]:
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
