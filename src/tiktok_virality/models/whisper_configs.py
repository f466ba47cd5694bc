"""What the audio pipeline may be told. Reading it loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

from pydantic import Field, model_validator

from tiktok_virality.models.configs import Precision
from tiktok_virality.schema import Config

SECONDS_PER_STATE: Final = 0.02
"""Whisper's encoder gives 50 states per second, whatever its size."""


class WhisperParameters(Config):
    """How speech is found, written down and embedded.

    Attributes:
        model: Name of a Whisper model.
        weights: A checkpoint of that model; ``None`` looks in the usual places.
        precision: ``full``: float32, the same numbers on every processor. ``mixed``: products in
            float16 on a GPU and in bfloat16 on a processor that has it, sums in float32. ``auto``:
            mixed on a GPU, full on a processor.
        language: Of every clip, as a code such as ``en``; ``None`` detects it per clip.
        seconds_per_token: Encoder states are averaged over this long.
        voice_threshold: Sound is speech from this probability of the voice detector on.
        max_compression_ratio: A text that compresses better is a loop, and is tried again.
        min_avg_logprob: A text less likely than this per token is tried again.
        max_no_speech_prob: A text that is as unlikely is dropped when Whisper itself gives
            silence more than this probability.
        temperatures: Of the attempts, each tried when the one before failed.
        batch_size: Clips read together.
    """

    model: str = "base"
    weights: Path | None = None
    precision: Precision = "mixed"
    language: str | None = None
    seconds_per_token: float = Field(default=0.5, ge=SECONDS_PER_STATE, le=30)
    voice_threshold: float = Field(default=0.5, gt=0, lt=1)
    max_compression_ratio: float = Field(default=2.4, gt=0)
    min_avg_logprob: float = Field(default=-1.0, lt=0)
    max_no_speech_prob: float = Field(default=0.6, gt=0, le=1)
    temperatures: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    batch_size: int = Field(default=16, ge=1)

    @property
    def states_per_token(self) -> int:
        """Encoder states that one token averages."""
        return round(self.seconds_per_token / SECONDS_PER_STATE)

    @model_validator(mode="after")
    def _check_temperatures(self) -> Self:
        if not self.temperatures or min(self.temperatures) < 0:
            raise ValueError(f"temperatures={self.temperatures} must be one or more, none negative")
        return self

    @model_validator(mode="after")
    def _check_token(self) -> Self:
        if abs(self.states_per_token * SECONDS_PER_STATE - self.seconds_per_token) > 1e-6:
            raise ValueError(
                f"seconds_per_token={self.seconds_per_token} must be a multiple of "
                f"{SECONDS_PER_STATE}"
            )
        return self


class AudioParameters(Config):
    """Parameters of the audio pipeline.

    Attributes:
        whisper: How speech is found, written down and embedded.
    """

    whisper: WhisperParameters = Field(default_factory=WhisperParameters)
