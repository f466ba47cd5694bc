"""What the sound pipeline may be told. Reading it loads no librosa."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from tiktok_virality.schema import SAMPLE_RATE_HZ, Config

FRAME_SECONDS: Final = 0.01
"""Sounds are measured this far apart."""


class TaggerParameters(Config):
    """A pretrained network that listens beside what is measured: an ONNX file.

    Its first input is a mono waveform, float32 [samples] or [1, samples]; its output, an embedding
    or the scores of classes, ends in a dimension of fixed size, and is averaged over all others.

    Attributes:
        path: The file.
        output: Name of the output to take; ``None`` takes the first.
        sample_rate_hz: Of the waveforms that it was trained with.
        window_seconds: How much it hears at a time, around the middle of each token.
    """

    path: Path
    output: str | None = None
    sample_rate_hz: int = Field(default=SAMPLE_RATE_HZ, ge=8000, le=48_000)
    window_seconds: float = Field(default=1.0, gt=0, le=30)


class SoundParameters(Config):
    """How sounds become tokens.

    Attributes:
        seconds_per_token: How long a token lasts.
        tagger: A network whose output is put beside what is measured; ``None`` for none.
        batch_size: Clips per part file.
    """

    seconds_per_token: float = Field(default=0.5, ge=0.1, le=30)
    tagger: TaggerParameters | None = None
    batch_size: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        frames = self.seconds_per_token / FRAME_SECONDS
        if abs(round(frames) - frames) > 1e-6:
            raise ValueError(
                f"seconds_per_token={self.seconds_per_token} must be a multiple of {FRAME_SECONDS}"
            )
        return self
