"""What is said in a clip, and how it sounds, from one pass of Whisper's encoder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor
from whisper.utils import compression_ratio

from tiktok_virality.models.voice_activity import VoiceDetector
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.models.whisper_decoding import Segment
from tiktok_virality.models.whisper_encoding import (
    EncodedWindow,
    WindowEncoder,
    load_whisper,
    pool_states,
)
from tiktok_virality.models.whisper_transcript import Transcriber, Transcript
from tiktok_virality.models.whisper_windows import cut_windows
from tiktok_virality.schema import SAMPLE_RATE_HZ

LANGUAGES_WITHOUT_SPACES: Final = frozenset({"zh", "ja", "th", "lo", "my", "yue"})


@dataclass(frozen=True, kw_only=True)
class ClipSpeech:
    """A clip as Whisper heard it.

    Attributes:
        tokens: float16 [T, D]: encoder states averaged over equal stretches of the clip.
        duration_seconds: Of the clip.
        text: What is said; empty when nobody speaks.
        language: A code such as ``en``; ``None`` when nobody speaks.
        segments: The text with times of the clip.
        no_speech_prob: How probable Whisper finds it that nobody speaks; ``None``: not asked.
        compression_ratio: Length of the text over its compressed length; ``None``: no text.
        words_per_second: Over the seconds in which somebody speaks; 0 when nobody does.
    """

    tokens: np.ndarray
    duration_seconds: float
    text: str
    language: str | None
    segments: tuple[Segment, ...]
    no_speech_prob: float | None
    compression_ratio: float | None
    words_per_second: float

    @property
    def has_speech(self) -> bool:
        """Whether anything is said that can be written down."""
        return bool(self.text)


class SpeechModel:
    """Whisper and a voice detector, loaded once for many clips.

    Args:
        checkpoint: Whisper's weights.
        parameters: How speech is found, written down and embedded.
        device: ``auto``, ``cpu`` or ``cuda``.
        seed: Of the attempts that draw tokens.

    Raises:
        ParameterError: The model does not know the language.
        WeightsError: The checkpoint cannot be loaded.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        parameters: WhisperParameters,
        *,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        model = load_whisper(checkpoint, device, parameters.precision)
        self._states_per_token = parameters.states_per_token
        self._detector = VoiceDetector(parameters.voice_threshold)
        self._encode = WindowEncoder(model, parameters.batch_size)
        self._transcriber = Transcriber(model, parameters, seed)

    def read(self, waveforms: Sequence[np.ndarray]) -> list[ClipSpeech]:
        """Return speech and embedding of each waveform, float32 [samples] at 16 kHz, in order.

        A clip gives the same alone and in any batch.
        """
        transcripts = [Transcript(speech) for speech in self._detector.find_speech(waveforms)]
        windows = [
            window
            for clip, transcript in enumerate(transcripts)
            for window in cut_windows(clip, len(waveforms[clip]), transcript.speech)
        ]
        encoded = self._encode(waveforms, windows)
        self._transcribe(waveforms, transcripts, encoded)
        return [
            _clip_speech(len(waveform) / SAMPLE_RATE_HZ, tokens, transcript)
            for waveform, tokens, transcript in zip(
                waveforms, self._tokens(encoded), transcripts, strict=True
            )
        ]

    def _transcribe(
        self,
        waveforms: Sequence[np.ndarray],
        transcripts: Sequence[Transcript],
        encoded: Sequence[EncodedWindow],
    ) -> None:
        """Decode the windows in which somebody speaks; what Whisper leaves over comes again."""
        spoken = [e for e in encoded if transcripts[e.window.clip].is_spoken(e.window)]
        while spoken:
            rests = self._transcriber.write_down(transcripts, spoken)
            rests = [rest for rest in rests if transcripts[rest.clip].is_spoken(rest)]
            spoken = self._encode(waveforms, rests)

    def _tokens(self, encoded: Sequence[EncodedWindow]) -> list[np.ndarray]:
        """Join the windows of each clip and pool them: float16 [T, D] each."""
        states: dict[int, list[Tensor]] = defaultdict(list)
        for item in encoded:
            states[item.window.clip].append(item.real_states)
        pooled = [
            pool_states(torch.cat(parts), self._states_per_token)
            for _, parts in sorted(states.items())
        ]
        return [tokens.half().cpu().numpy() for tokens in pooled]


def _clip_speech(duration_seconds: float, tokens: np.ndarray, transcript: Transcript) -> ClipSpeech:
    segments = tuple(sorted(transcript.segments, key=lambda segment: segment.start_seconds))
    text = " ".join(segment.text for segment in segments)
    language = transcript.language if text else None
    return ClipSpeech(
        tokens=tokens,
        duration_seconds=duration_seconds,
        text=text,
        language=language,
        segments=segments,
        no_speech_prob=float(np.mean(transcript.no_speech_probs))
        if transcript.no_speech_probs
        else None,
        compression_ratio=compression_ratio(text) if text else None,
        words_per_second=count_words(text, language) / transcript.speech_seconds if text else 0.0,
    )


def count_words(text: str, language: str | None) -> int:
    """Count words; in a language that puts no spaces between them, letters."""
    if language in LANGUAGES_WITHOUT_SPACES:
        return sum(character.isalnum() for character in text)
    return len(text.split())
