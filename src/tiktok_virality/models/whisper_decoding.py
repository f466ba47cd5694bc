"""Which tokens Whisper's decoder writes for encoded windows, and when it stops."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from whisper.model import Whisper
from whisper.tokenizer import Tokenizer
from whisper.utils import compression_ratio

from tiktok_virality.models.whisper_configs import SECONDS_PER_STATE
from tiktok_virality.models.whisper_decoder import CachedDecoder, Memory, Past

TOKENS_PER_SECOND: Final = 14
LEAST_TOKENS: Final = 32
"""A text has at most so many tokens, and so many more per second of its window."""

LATEST_START_SECONDS: Final = 1.0
"""The first words of a window begin no later."""

LOOP_CHECK_TOKENS: Final = 24
LOOP_COMPRESSION_RATIO: Final = 3.0
SPOKEN_CHARACTERS_PER_SECOND: Final = (4.0, 30.0)
LEAST_WORDS_REPEATED: Final = 3
"""A sentence may be said again and again; a word or two, over and over, is what Whisper makes of
music."""

SHRINK_SHARE: Final = 0.75
"""Finished rows leave the batch once no more than this share goes on: leaving costs a copy."""


@dataclass(frozen=True)
class Segment:
    """What is said between two times, in seconds."""

    start_seconds: float
    end_seconds: float
    text: str

    def later(self, seconds: float) -> Segment:
        """Return the segment with times counted from ``seconds`` earlier."""
        return Segment(self.start_seconds + seconds, self.end_seconds + seconds, self.text)


@dataclass(frozen=True)
class Hint:
    """What is known of a window before it is decoded.

    Attributes:
        language: A code such as ``en``.
        last_words_seconds: When the last words begin to end: a text whose time has come this far
            is complete.
        seconds: How long the window is with its padding.
    """

    language: str
    last_words_seconds: float
    seconds: float

    @property
    def most_tokens(self) -> int:
        """Longest text that is written."""
        return LEAST_TOKENS + round(self.seconds * TOKENS_PER_SECOND)


@dataclass(frozen=True)
class Attempt:
    """A text of a window.

    Attributes:
        tokens: Text and timestamps.
        text: The words.
        avg_logprob: Mean log-probability of a token, the end included.
        compression_ratio: Length of the text over its compressed length.
    """

    tokens: list[int]
    text: str
    avg_logprob: float
    compression_ratio: float


class TokenRules:
    """Which token may follow: Whisper's own rules for times and symbols, for many rows at once.

    They are those of `whisper.decoding.ApplyTimestampRules` and `SuppressTokens`.

    Args:
        tokenizer: Of the model.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._first_time = tokenizer.timestamp_begin
        self._latest_start = self._first_time + round(LATEST_START_SECONDS / SECONDS_PER_STATE)
        self._eot = tokenizer.eot
        self._never = [
            *tokenizer.non_speech_tokens,
            *(tokenizer.sot, tokenizer.sot_prev, tokenizer.sot_lm, tokenizer.no_speech),
            *(tokenizer.transcribe, tokenizer.translate, tokenizer.no_timestamps),
        ]

    def apply(self, logits: Tensor, written: Tensor) -> None:
        """Set the logits of tokens that may not follow to minus infinity.

        Args:
            logits: float32 [B, vocabulary].
            written: int64 [B, n]: words and times so far.
        """
        logits[:, self._never] = -torch.inf
        if written.shape[1] == 0:
            logits[:, : self._first_time] = -torch.inf
            logits[:, self._latest_start + 1 :] = -torch.inf
            return
        self._keep_order(logits, written)
        times, words = logits[:, self._first_time :], logits[:, : self._first_time]
        rather_times = times.logsumexp(dim=-1) > words.amax(dim=-1)  # [B]
        logits[rather_times, : self._first_time] = -torch.inf

    def _keep_order(self, logits: Tensor, written: Tensor) -> None:
        """Times come in pairs, but for the first, and never go back."""
        after_time = written[:, -1] >= self._first_time  # [B]
        before = written[:, -2] if written.shape[1] > 1 else written[:, -1]
        half_pair = after_time & (before < self._first_time)
        logits[half_pair, : self._eot] = -torch.inf
        logits[after_time & ~half_pair, self._first_time :] = -torch.inf
        earliest = written.amax(dim=-1) + (~half_pair).long()  # [B]
        times = torch.arange(self._first_time, logits.shape[1], device=logits.device)
        logits[:, self._first_time :].masked_fill_(times < earliest[:, None], -torch.inf)


@dataclass
class _Rows:
    """The windows that are being written down, and what is written of each.

    Attributes:
        places: Of each among the windows that were given, [B].
        memory: What is heard.
        past: What the decoder remembers of what is written.
        written: int64 [B, most tokens].
        sum_logprobs: float32 [B].
    """

    places: list[int]
    memory: Memory
    past: Past
    written: Tensor
    sum_logprobs: Tensor

    def take(self, rows: list[int]) -> _Rows:
        """Return some of the rows."""
        kept = torch.tensor(rows, device=self.written.device)
        return _Rows(
            [self.places[row] for row in rows],
            self.memory.take(kept),
            self.past.take(kept),
            self.written[kept],
            self.sum_logprobs[kept],
        )


class WindowWriter:
    """Writes down what is said in encoded windows, many together.

    Args:
        model: Whisper, on its device.
        tokenizer: Of the model.
        seed: Of tokens that are drawn.
    """

    def __init__(self, model: Whisper, tokenizer: Tokenizer, seed: int) -> None:
        self._tokenizer = tokenizer
        self._seed = seed
        self._device = model.device
        self._decoder = CachedDecoder(model.decoder, tokenizer.timestamp_begin)
        self._rules = TokenRules(tokenizer)
        self._most_tokens = model.dims.n_text_ctx - len(tokenizer.sot_sequence)

    def attend(self, states: Sequence[Tensor]) -> Memory:
        """Prepare windows, [T, D] each, for being written down, once for all attempts."""
        return self._decoder.attend(states)

    def first_probabilities(self, memory: Memory) -> Tensor:
        """Return how probable each token is as the first of all: float32 [B, vocabulary]."""
        start = torch.full((len(memory), 1), self._tokenizer.sot, device=self._device)
        return self._decoder.read(start, self._decoder.begin(len(memory), 1), memory).softmax(-1)

    def write(self, memory: Memory, hints: Sequence[Hint], temperature: float) -> list[Attempt]:
        """Write down what is said in each window, whatever its neighbours are.

        Args:
            memory: Of the windows.
            hints: One per window.
            temperature: 0 takes the likeliest token; above, tokens are drawn.
        """
        tokens = torch.tensor([self._prompt(hint) for hint in hints], device=self._device)
        limits = [min(hint.most_tokens, self._most_tokens) for hint in hints]
        rows = self._begin(memory, max(limits), tokens.shape[1])
        choose = TokenChoice(temperature, self._seed, len(hints), self._device)
        attempts: dict[int, Attempt] = {}
        for count in range(1, max(limits) + 1):
            logits = self._decoder.read(tokens, rows.past, rows.memory)
            self._rules.apply(logits, rows.written[:, : count - 1])
            tokens = choose(logits, rows.places)  # [B, 1]
            rows.sum_logprobs += (logits.gather(1, tokens) - logits.logsumexp(1, keepdim=True))[
                :, 0
            ]
            rows.written[:, count - 1] = tokens[:, 0]
            going = []
            for row, written in enumerate(rows.written[:, :count].tolist()):
                place = rows.places[row]
                if place not in attempts and self._has_ended(written, hints[place], limits[place]):
                    attempts[place] = self._attempt(written, float(rows.sum_logprobs[row]))
                if place not in attempts:
                    going.append(row)
            if not going:
                break
            if len(going) <= SHRINK_SHARE * len(rows.places):
                rows, tokens = rows.take(going), tokens[going]
        return [attempts[place] for place in range(len(hints))]

    def _prompt(self, hint: Hint) -> list[int]:
        if self._tokenizer.language is None:  # a model that knows English only
            return list(self._tokenizer.sot_sequence)
        start, _, *task = self._tokenizer.sot_sequence
        return [start, self._tokenizer.to_language_token(hint.language), *task]

    def _begin(self, memory: Memory, most_tokens: int, prompt_tokens: int) -> _Rows:
        count = len(memory)
        return _Rows(
            list(range(count)),
            memory,
            self._decoder.begin(count, prompt_tokens + most_tokens),
            torch.zeros(count, most_tokens, dtype=torch.int64, device=self._device),
            torch.zeros(count, device=self._device),
        )

    def _has_ended(self, written: list[int], hint: Hint, limit: int) -> bool:
        return (
            written[-1] == self._tokenizer.eot
            or len(written) >= limit
            or is_over(written, self._tokenizer, hint.last_words_seconds)
            or is_loop(written, self._tokenizer)
        )

    def _attempt(self, written: list[int], sum_logprob: float) -> Attempt:
        tokens = written[:-1] if written[-1] == self._tokenizer.eot else written
        text = self._tokenizer.decode(tokens).strip()
        return Attempt(tokens, text, sum_logprob / (len(tokens) + 1), compression_ratio(text))


class TokenChoice:
    """Takes or draws the next tokens; each row draws from a generator of its own."""

    def __init__(self, temperature: float, seed: int, rows: int, device: torch.device) -> None:
        self._temperature = temperature
        self._generators = [
            torch.Generator(device).manual_seed(seed) for _ in range(rows if temperature else 0)
        ]

    def __call__(self, logits: Tensor, places: Sequence[int]) -> Tensor:
        """Return int64 [B, 1] for logits [B, vocabulary] of the rows at ``places``."""
        if self._temperature == 0:
            return logits.argmax(dim=-1, keepdim=True)
        waits = torch.empty_like(logits)  # of an exponential race: the likelier wins as often
        for row, place in enumerate(places):
            waits[row].exponential_(generator=self._generators[place])
        chances = (logits / self._temperature).softmax(dim=-1)
        return (chances / waits).argmax(dim=-1, keepdim=True)


def is_over(written: Sequence[int], tokenizer: Tokenizer, last_words_seconds: float) -> bool:
    """Return whether a text just came to the time at which the last words end.

    Left alone, Whisper often says everything again after the last word of a short window.
    """
    last_time = tokenizer.timestamp_begin + round(last_words_seconds / SECONDS_PER_STATE)
    return len(written) > 1 and written[-2] < tokenizer.eot and written[-1] >= last_time


def is_loop(written: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Return whether a text goes round in circles; looks at every so many tokens only.

    A loop runs to the length limit, and is thrown away then because its text compresses so well.
    """
    if len(written) % LOOP_CHECK_TOKENS:
        return False
    text = tokenizer.decode([token for token in written if token < tokenizer.eot])
    repeats = bool(text) and compression_ratio(text) > LOOP_COMPRESSION_RATIO
    return repeats and not is_said_again(written, tokenizer)


def is_said_again(written: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Return whether lines come again and take their time, as when somebody says them again.

    A loop is written without times, or faster than anybody speaks; and over music Whisper likes to
    repeat a word or two.
    """
    first = tokenizer.timestamp_begin
    times = [token - first for token in written if token >= first]
    if len(times) < 2:
        return False
    seconds = (times[-1] - times[0]) * SECONDS_PER_STATE
    lines = _lines(written, tokenizer)
    if len(set(lines)) == len(lines):
        return False
    characters = sum(len(line) for line in lines)
    least, most = SPOKEN_CHARACTERS_PER_SECOND
    words = statistics.median(len(line.split()) for line in lines)
    return words >= LEAST_WORDS_REPEATED and least * seconds <= characters <= most * seconds


def _lines(written: Sequence[int], tokenizer: Tokenizer) -> list[str]:
    """Return the texts between times."""
    lines: list[list[int]] = [[]]
    for token in written:
        if token >= tokenizer.timestamp_begin:
            lines.append([])
        elif token < tokenizer.eot:
            lines[-1].append(token)
    return [tokenizer.decode(line).strip() for line in lines if line]


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
