"""What is said in encoded windows: language, attempts, and which of their texts to believe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor
from whisper.model import Whisper
from whisper.tokenizer import get_tokenizer

from tiktok_virality.models.voice_activity import SpeechSpan
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.models.whisper_decoder import Memory
from tiktok_virality.models.whisper_decoding import (
    Attempt,
    Hint,
    Segment,
    WindowWriter,
    is_said_again,
    split_segments,
)
from tiktok_virality.models.whisper_encoding import EncodedWindow
from tiktok_virality.models.whisper_windows import Window
from tiktok_virality.schema import SAMPLE_RATE_HZ, ParameterError

LEAST_SPEECH_SECONDS: Final = 0.25
"""Less in a window is not worth decoding."""

TIMESTAMP_SLACK_SECONDS: Final = 0.5
"""Whisper's times may be off by this much."""

ECHO_SHARE: Final = 0.5
"""Who says the same again takes more than this share of the time that it took before."""

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
            seconds=window.padded_samples / SAMPLE_RATE_HZ,
        )

    def add(self, segments: Iterable[Segment]) -> None:
        """Add what fits the speech, in order, and is no echo of what was said before.

        Whisper often says everything again after the last word of a short window, squeezed into
        what is left of the clip. People take their time.
        """
        for segment in segments:
            fitting = self.fit(segment)
            if fitting is not None and not self._is_echo(fitting):
                self.segments.append(fitting)

    def _is_echo(self, segment: Segment) -> bool:
        seconds = segment.end_seconds - segment.start_seconds
        return any(
            said.text == segment.text
            and seconds < ECHO_SHARE * (said.end_seconds - said.start_seconds)
            for said in self.segments
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
        self._tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
        self._writer = WindowWriter(model, self._tokenizer, seed)
        self._check_language()

    def write_down(
        self, transcripts: Sequence[Transcript], encoded: Sequence[EncodedWindow]
    ) -> list[Window]:
        """Add what is said to the transcripts, and return what Whisper left over of the windows.

        A clip whose language is unknown gets that of its window in which most is said.
        """
        unknown = [e for e in encoded if transcripts[e.window.clip].language is None]
        first = _most_spoken(transcripts, unknown)
        later = [item for item in encoded if first.get(item.window.clip) is not item]
        rests = []
        for batch in (*self._batches(first.values()), *self._batches(later)):
            with torch.inference_mode():
                rests += self._write_batch(transcripts, batch)
        return rests

    def _batches(self, encoded: Iterable[EncodedWindow]) -> Iterator[list[EncodedWindow]]:
        """Put windows of like length together: a batch is as wide as its longest."""
        ordered = sorted(encoded, key=lambda item: len(item.states))
        for start in range(0, len(ordered), self._parameters.batch_size):
            yield ordered[start : start + self._parameters.batch_size]

    def _write_batch(
        self, transcripts: Sequence[Transcript], batch: Sequence[EncodedWindow]
    ) -> list[Window]:
        memory = self._writer.attend([item.states for item in batch])
        probable = self._writer.first_probabilities(memory)  # [B, vocabulary]
        silence = probable[:, self._tokenizer.no_speech].tolist()
        self._set_languages([transcripts[item.window.clip] for item in batch], probable)
        hints = [transcripts[item.window.clip].hint(item.window) for item in batch]
        attempts = self._settle(memory, hints, silence)
        rests = []
        for item, attempt, prob in zip(batch, attempts, silence, strict=True):
            transcript = transcripts[item.window.clip]
            transcript.no_speech_probs.append(prob)
            if not self._is_loop(attempt) and not self._is_silence(attempt, prob):
                rests.append(self._accept(attempt, item.window, transcript))
        return [rest for rest in rests if rest is not None]

    def _set_languages(self, transcripts: Sequence[Transcript], probable: Tensor) -> None:
        codes = self._tokenizer.all_language_codes
        best = probable[:, list(self._tokenizer.all_language_tokens)].argmax(dim=-1).tolist()
        for transcript, number in zip(transcripts, best, strict=True):
            if transcript.language is None:
                detected = codes[number] if self._model.is_multilingual else ENGLISH
                transcript.language = self._parameters.language or detected

    def _settle(
        self, memory: Memory, hints: Sequence[Hint], silence: Sequence[float]
    ) -> list[Attempt]:
        """Try windows again until an attempt is good; if none is, take the likeliest."""
        attempts: list[list[Attempt]] = [[] for _ in hints]
        waiting = list(range(len(hints)))
        for temperature in self._parameters.temperatures:
            rows = torch.tensor(waiting, device=self._model.device)
            rest = memory.take(rows) if len(waiting) < len(memory) else memory
            written = self._writer.write(rest, [hints[row] for row in waiting], temperature)
            for row, attempt in zip(waiting, written, strict=True):
                attempts[row].append(attempt)
            waiting = [
                row for row in waiting if not self._is_final(attempts[row][-1], silence[row])
            ]
            if not waiting:
                break
        return [
            tried[-1]
            if self._is_final(tried[-1], prob)
            else max(tried, key=lambda attempt: (not self._is_loop(attempt), attempt.avg_logprob))
            for tried, prob in zip(attempts, silence, strict=True)
        ]

    def _accept(self, attempt: Attempt, window: Window, transcript: Transcript) -> Window | None:
        """Add the segments that can be believed, and return the rest of the window."""
        seconds = window.samples / SAMPLE_RATE_HZ
        segments, resume = split_segments(attempt.tokens, self._tokenizer, seconds)
        transcript.add(segment.later(window.start_seconds) for segment in segments)
        return window.rest_from(window.start_seconds + resume) if resume else None

    def _is_final(self, attempt: Attempt, silence: float) -> bool:
        bad = self._is_loop(attempt) or self._is_unlikely(attempt)
        return not bad or self._is_silence(attempt, silence)

    def _is_loop(self, attempt: Attempt) -> bool:
        repeats = attempt.compression_ratio > self._parameters.max_compression_ratio
        return repeats and not is_said_again(attempt.tokens, self._tokenizer)

    def _is_unlikely(self, attempt: Attempt) -> bool:
        return attempt.avg_logprob < self._parameters.min_avg_logprob

    def _is_silence(self, attempt: Attempt, silence: float) -> bool:
        return silence > self._parameters.max_no_speech_prob and self._is_unlikely(attempt)

    def _check_language(self) -> None:
        codes = self._tokenizer.all_language_codes if self._model.is_multilingual else (ENGLISH,)
        if (language := self._parameters.language) not in (None, *codes):
            raise ParameterError(
                f"audio.whisper.language: Whisper {self._parameters.model!r} does not know "
                f"{language!r}, only {', '.join(sorted(codes))}."
            )


def _most_spoken(
    transcripts: Sequence[Transcript], encoded: Sequence[EncodedWindow]
) -> dict[int, EncodedWindow]:
    """Return the window of each clip in which most is said."""
    most: dict[int, EncodedWindow] = {}
    for item in encoded:
        speech = transcripts[item.window.clip].speech
        best = most.setdefault(item.window.clip, item)
        if item.window.speech_seconds(speech) > best.window.speech_seconds(speech):
            most[item.window.clip] = item
    return most
