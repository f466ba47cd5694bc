"""Whisper's own decoding, on audio that is encoded already and may be shorter than 30 s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from whisper.decoding import DecodingOptions, DecodingResult, DecodingTask, GreedyDecoder
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer
from whisper.utils import compression_ratio

from tiktok_virality.models.whisper_configs import SECONDS_PER_STATE

TOKENS_PER_SECOND: Final = 14
LEAST_TOKENS: Final = 32
"""A text has at most so many tokens, and so many more per second of its window."""

LOOP_CHECK_TOKENS: Final = 24
LOOP_COMPRESSION_RATIO: Final = 3.0


@dataclass(frozen=True)
class Segment:
    """What is said between two times, in seconds."""

    start_seconds: float
    end_seconds: float
    text: str

    def later(self, seconds: float) -> Segment:
        """Return the segment with times counted from ``seconds`` earlier."""
        return Segment(self.start_seconds + seconds, self.end_seconds + seconds, self.text)


def language_probabilities(model: Whisper, tokenizer: Tokenizer, states: Tensor) -> Tensor:
    """Return how probable each language of the tokenizer is, [B, languages]."""
    start = torch.full((len(states), 1), tokenizer.sot, device=states.device)  # [B, 1]
    logits = model.logits(start, states)[:, 0]  # [B, vocabulary]
    return logits[:, list(tokenizer.all_language_tokens)].softmax(dim=-1)


@dataclass(frozen=True)
class Hint:
    """What is known of a window before it is decoded.

    Attributes:
        language: A code such as ``en``.
        last_words_seconds: When the last words begin to end: a text whose time has come this far
            is complete.
    """

    language: str
    last_words_seconds: float


def decode(
    model: Whisper, states: Tensor, hints: Sequence[Hint], temperature: float
) -> list[DecodingResult]:
    """Write down what is said in encoded windows.

    Args:
        model: Whisper.
        states: [B, T, D].
        hints: One per window.
        temperature: 0 takes the likeliest token; above, tokens are drawn by torch's generator.
    """
    seconds = states.shape[1] * SECONDS_PER_STATE
    options = DecodingOptions(
        temperature=temperature,
        language=hints[0].language,
        sample_len=LEAST_TOKENS + round(seconds * TOKENS_PER_SECOND),
        fp16=states.dtype == torch.float16,
    )
    return EncodedDecoding(model, options, hints).run(states)


class EncodedDecoding(DecodingTask):
    """Decodes encoder states of any length, each row in a language of its own."""

    def __init__(self, model: Whisper, options: DecodingOptions, hints: Sequence[Hint]) -> None:
        super().__init__(model, options)
        self._languages = [hint.language for hint in hints]
        self.decoder = StoppingDecoder(options.temperature, self.tokenizer, hints)

    def _get_audio_features(self, states: Tensor) -> Tensor:
        return states

    def _detect_language(self, states: Tensor, tokens: Tensor) -> tuple[list[str], None]:
        if self.model.is_multilingual:
            known = [self.tokenizer.to_language_token(language) for language in self._languages]
            tokens[:, self.sot_index + 1] = torch.tensor(known)
        return self._languages, None


class StoppingDecoder(GreedyDecoder):
    """Ends a row when its words are over, or go round in circles.

    Left alone, Whisper often says everything again after the last word of a short window. A loop
    runs to the length limit, and is thrown away then because its text compresses so well.
    """

    def __init__(self, temperature: float, tokenizer: Tokenizer, hints: Sequence[Hint]) -> None:
        super().__init__(temperature, tokenizer.eot)
        self._tokenizer = tokenizer
        self._last_times = torch.tensor(
            [
                tokenizer.timestamp_begin + round(hint.last_words_seconds / SECONDS_PER_STATE)
                for hint in hints
            ]
        )  # [B]

    def update(self, tokens: Tensor, logits: Tensor, sum_logprobs: Tensor) -> tuple[Tensor, bool]:
        """Append the next token of each row; the second value says whether all rows ended."""
        after_text = tokens[:, -2] < self.eot
        over = after_text & (tokens[:, -1] >= self._last_times.to(tokens.device))  # [B]
        tokens, _ = super().update(tokens, logits, sum_logprobs)
        tokens[over, -1] = self.eot
        if tokens.shape[1] % LOOP_CHECK_TOKENS == 0:
            tokens[self._looping(tokens), -1] = self.eot
        return tokens, bool((tokens[:, -1] == self.eot).all())

    def _looping(self, tokens: Tensor) -> list[int]:
        spoken = [[token for token in row if token < self.eot] for row in tokens.tolist()]
        texts = [self._tokenizer.decode(row) for row in spoken]
        return [
            number
            for number, text in enumerate(texts)
            if text and compression_ratio(text) > LOOP_COMPRESSION_RATIO
        ]


def split_segments(
    tokens: Sequence[int], tokenizer: Tokenizer, seconds: float
) -> tuple[list[Segment], float | None]:
    """Divide decoded tokens at their timestamps.

    Args:
        tokens: Text and timestamps of one window.
        tokenizer: Turns text tokens into text.
        seconds: Length of the window; no time lies beyond.

    Returns:
        The segments, with times from the window's start; and the time at which Whisper stopped
        before the window's end and wants to be asked again, or ``None`` when it is through.
    """
    first = tokenizer.timestamp_begin
    is_time = [token >= first for token in tokens]
    cuts = [i for i in range(1, len(tokens)) if is_time[i - 1] and is_time[i]]
    through = not cuts or is_time[-2:] == [False, True]
    ends = [*cuts, len(tokens)] if through else cuts
    segments = [
        _segment(tokens[start:end], tokenizer, seconds)
        for start, end in zip([0, *ends], ends, strict=False)
    ]
    resume = None if through else (tokens[cuts[-1] - 1] - first) * SECONDS_PER_STATE
    return [segment for segment in segments if segment.text], resume


def _segment(tokens: Sequence[int], tokenizer: Tokenizer, seconds: float) -> Segment:
    first = tokenizer.timestamp_begin
    times = [(token - first) * SECONDS_PER_STATE for token in tokens if token >= first]
    text = tokenizer.decode([token for token in tokens if token < tokenizer.eot])
    start = times[0] if times else 0.0
    end = times[-1] if len(times) > 1 else seconds
    return Segment(min(start, seconds), min(end, seconds), text.strip())
