"""What is said in encoded windows: language, attempts, and which of their texts to believe."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import torch
from whisper.decoding import DecodingResult
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from tiktok_virality.models.voice_activity import SpeechSpan
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.models.whisper_decoding import (
    Hint,
    Segment,
    decode,
    language_probabilities,
    split_segments,
)
from tiktok_virality.models.whisper_encoding import EncodedWindow, in_batches
from tiktok_virality.models.whisper_windows import Window
from tiktok_virality.schema import SAMPLE_RATE_HZ, ParameterError

LEAST_SPEECH_SECONDS: Final = 0.25
"""Less in a window is not worth decoding."""

TIMESTAMP_SLACK_SECONDS: Final = 0.5
"""Whisper's times may be off by this much."""

ENGLISH: Final = "en"


@dataclass
class Transcript:
    """What is known of a clip; grows window by window.

    Attributes:
        speech: Where somebody speaks.
        language: A code such as ``en``; ``None`` before anybody has looked.
        segments: The words, with times of the clip.
        no_speech_probs: Of each window that was decoded.
    """

    speech: Sequence[SpeechSpan]
    language: str | None = None
    segments: list[Segment] = field(default_factory=list)
    no_speech_probs: list[float] = field(default_factory=list)

    @property
    def speech_seconds(self) -> float:
        """How long somebody speaks."""
        return sum(span.seconds for span in self.speech)

    def is_spoken(self, window: Window) -> bool:
        """Return whether a window of the clip is worth decoding."""
        return window.speech_seconds(self.speech) >= LEAST_SPEECH_SECONDS

    def hint(self, window: Window) -> Hint:
        """Return what is known of a window before it is decoded."""
        ends = [s.end_seconds for s in self.speech if s.start_seconds < window.end_seconds]
        last = min(max(ends, default=window.end_seconds), window.end_seconds)
        return Hint(
            language=self.language or ENGLISH,
            last_words_seconds=last - window.start_seconds - LEAST_SPEECH_SECONDS,
        )

    def fit(self, segment: Segment) -> Segment | None:
        """Draw the times of a segment close to the speech in it; ``None``: nobody speaks there."""
        slack = TIMESTAMP_SLACK_SECONDS
        start, end = segment.start_seconds - slack, segment.end_seconds + slack
        spans = [span for span in self.speech if span.overlap_seconds(start, end) > 0]
        if not spans:
            return None
        return Segment(
            round(max(segment.start_seconds, spans[0].start_seconds - slack), 2),
            round(min(segment.end_seconds, spans[-1].end_seconds + slack), 2),
            segment.text,
        )


class Transcriber:
    """Decodes encoded windows of many clips, those of one length together.

    Args:
        model: Whisper, on its device.
        parameters: When a text is believed.
        seed: Of the attempts that draw tokens.

    Raises:
        ParameterError: The model does not know the language.
    """

    def __init__(self, model: Whisper, parameters: WhisperParameters, seed: int) -> None:
        self._model = model
        self._parameters = parameters
        self._seed = seed
        self._tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
        self._check_language()

    def detect_languages(
        self, transcripts: Sequence[Transcript], encoded: Sequence[EncodedWindow]
    ) -> None:
        """Give each clip the language of the window in which most is said."""
        if not self._model.is_multilingual or self._parameters.language is not None:
            for transcript in transcripts:
                transcript.language = self._parameters.language or ENGLISH
            return
        for batch in self._batches(_most_spoken(transcripts, encoded)):
            with torch.inference_mode():
                states = torch.stack([item.states for item in batch])
                probable = language_probabilities(self._model, self._tokenizer, states)
            for item, best in zip(batch, probable.argmax(dim=-1).tolist(), strict=True):
                language = self._tokenizer.all_language_codes[best]
                transcripts[item.window.clip].language = language

    def write_down(
        self, transcripts: Sequence[Transcript], encoded: Sequence[EncodedWindow]
    ) -> list[Window]:
        """Add what is said to the transcripts, and return what Whisper left over of the windows."""
        rests = []
        for batch in self._batches(encoded):
            results = self._attempt(transcripts, batch, self._parameters.temperatures[0])
            for item, result in zip(batch, results, strict=True):
                settled = self._settle(transcripts, item, result)
                rests.append(self._accept(settled, item.window, transcripts[item.window.clip]))
        return [rest for rest in rests if rest is not None]

    def _batches(self, encoded: Sequence[EncodedWindow]) -> Iterator[list[EncodedWindow]]:
        by_window = {item.window: item for item in encoded}
        for windows in in_batches(by_window, self._parameters.batch_size):
            yield [by_window[window] for window in windows]

    def _attempt(
        self,
        transcripts: Sequence[Transcript],
        batch: Sequence[EncodedWindow],
        temperature: float,
    ) -> list[DecodingResult]:
        hints = [transcripts[item.window.clip].hint(item.window) for item in batch]
        with torch.inference_mode():
            states = torch.stack([item.states for item in batch])
            return decode(self._model, states, hints, temperature)

    def _settle(
        self, transcripts: Sequence[Transcript], item: EncodedWindow, result: DecodingResult
    ) -> DecodingResult:
        """Try again, alone, until an attempt is good; if none is, take the likeliest."""
        attempts = [result]
        with _drawing_from(self._seed):
            for temperature in self._parameters.temperatures[1:]:
                if self._is_good(attempts[-1]) or self._is_silence(attempts[-1]):
                    return attempts[-1]
                attempts += self._attempt(transcripts, [item], temperature)
        return max(attempts, key=lambda r: (not self._is_loop(r), r.avg_logprob))

    def _accept(
        self, result: DecodingResult, window: Window, transcript: Transcript
    ) -> Window | None:
        """Add the segments that can be believed, and return the rest of the window."""
        transcript.no_speech_probs.append(result.no_speech_prob)
        if self._is_loop(result) or self._is_silence(result):
            return None
        seconds = window.samples / SAMPLE_RATE_HZ
        segments, resume = split_segments(result.tokens, self._tokenizer, seconds)
        fitting = [transcript.fit(segment.later(window.start_seconds)) for segment in segments]
        transcript.segments += [segment for segment in fitting if segment is not None]
        return window.rest_from(window.start_seconds + resume) if resume else None

    def _is_good(self, result: DecodingResult) -> bool:
        return not self._is_loop(result) and not self._is_unlikely(result)

    def _is_loop(self, result: DecodingResult) -> bool:
        return result.compression_ratio > self._parameters.max_compression_ratio

    def _is_unlikely(self, result: DecodingResult) -> bool:
        return result.avg_logprob < self._parameters.min_avg_logprob

    def _is_silence(self, result: DecodingResult) -> bool:
        silent = result.no_speech_prob > self._parameters.max_no_speech_prob
        return silent and self._is_unlikely(result)

    def _check_language(self) -> None:
        codes = self._tokenizer.all_language_codes if self._model.is_multilingual else (ENGLISH,)
        if (language := self._parameters.language) not in (None, *codes):
            raise ParameterError(
                f"audio.whisper.language: Whisper {self._parameters.model!r} does not know "
                f"{language!r}, only {', '.join(sorted(codes))}."
            )


def _most_spoken(
    transcripts: Sequence[Transcript], encoded: Sequence[EncodedWindow]
) -> list[EncodedWindow]:
    """Return the window of each clip in which most is said."""
    most: dict[int, EncodedWindow] = {}
    for item in encoded:
        speech = transcripts[item.window.clip].speech
        best = most.setdefault(item.window.clip, item)
        if item.window.speech_seconds(speech) > best.window.speech_seconds(speech):
            most[item.window.clip] = item
    return list(most.values())


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Draw the same tokens whatever was drawn before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
