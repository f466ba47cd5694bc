"""The speech stage: what is said in every clip, and how it sounds, from one Whisper pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tiktok_virality.execution import Done, Outcome, StageItem
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.stages.waveforms import load_waveforms

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
        waveforms, failed = load_waveforms(items)
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
