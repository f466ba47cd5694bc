"""The speech stage: what is said in every clip, and how it sounds, from one Whisper pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tiktok_virality.execution import Done, Failed, Outcome, StageItem
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.schema import MediaError

if TYPE_CHECKING:
    from tiktok_virality.models.whisper_speech import ClipSpeech, SpeechModel


@dataclass
class SpeechReader:
    """Reads waveforms: embedding ``tokens`` float16 [T, D], and what is said in them.

    Attributes:
        parameters: How speech is found, written down and embedded.
        checkpoint: Whisper's weights.
        device: ``auto``, ``cpu`` or ``cuda``.
        seed: Of decoding attempts that draw tokens.
    """

    parameters: WhisperParameters
    checkpoint: Checkpoint
    device: str = "auto"
    seed: int = 0
    _model: SpeechModel | None = field(default=None, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result; where the weights lie and the batch size do not."""
        return {
            "version": 4,
            "whisper": self.parameters.model_dump(mode="json", exclude={"weights", "batch_size"}),
            "checkpoint": self.checkpoint.digest,
            "seed": self.seed,
        }

    def setup(self) -> None:
        """Load Whisper and the voice detector."""
        from tiktok_virality.models.whisper_speech import SpeechModel

        self._model = SpeechModel(
            self.checkpoint, self.parameters, device=self.device, seed=self.seed
        )

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Read a batch of clips; one whose waveform cannot be loaded fails alone."""
        assert self._model is not None
        waveforms: dict[str, np.ndarray] = {}
        failed: list[Outcome] = []
        for item in items:
            try:
                waveforms[item.video_id] = load_samples(item)
            except MediaError as error:
                failed.append(
                    Failed(video_id=item.video_id, reason=error.reason, detail=error.detail)
                )
        heard = self._model.read(list(waveforms.values()))
        return failed + [
            Done(video_id=video_id, columns=self._columns(speech))
            for video_id, speech in zip(waveforms, heard, strict=True)
        ]

    def _columns(self, speech: ClipSpeech) -> dict[str, Any]:
        return {
            "tokens": speech.tokens,
            "token_seconds": self.parameters.seconds_per_token,
            "text": speech.text,
            "language": speech.language,
            "segments": [asdict(segment) for segment in speech.segments],
            "has_speech": speech.has_speech,
            "no_speech_prob": speech.no_speech_prob,
            "compression_ratio": speech.compression_ratio,
            "words_per_second": speech.words_per_second,
            "duration_seconds": speech.duration_seconds,
        }


def load_samples(item: StageItem) -> np.ndarray:
    """Return float32 [samples].

    Raises:
        MediaError: The waveform is unreadable or empty, or holds what is no number.
    """
    samples: np.ndarray = item.payload.load()["samples"]
    if len(samples) == 0:
        raise MediaError("empty waveform", f"{item.video_id} has a waveform without samples")
    if not np.isfinite(samples).all():
        raise MediaError("broken waveform", f"{item.video_id} has samples that are no numbers")
    return samples
