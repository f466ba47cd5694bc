from __future__ import annotations

import pytest
import torch
from whisper.tokenizer import get_tokenizer

from tiktok_virality.models.whisper_decoding import Hint, Segment, StoppingDecoder, split_segments


@pytest.fixture(scope="module")
def tokenizer():
    return get_tokenizer(multilingual=True)


@pytest.fixture
def tokens(tokenizer):
    """Turn texts and times in seconds into tokens."""

    def encode(*parts: str | float) -> list[int]:
        encoded: list[int] = []
        for part in parts:
            if isinstance(part, str):
                encoded += tokenizer.encode(f" {part}")
            else:
                encoded.append(tokenizer.timestamp_begin + round(part * 50))
        return encoded

    return encode


def test_segments_lie_between_their_times(tokenizer, tokens):
    segments, resume = split_segments(tokens(0.0, "One.", 1.5, 1.5, "Two.", 3.0), tokenizer, 4.0)
    assert segments == [Segment(0.0, 1.5, "One."), Segment(1.5, 3.0, "Two.")]
    assert resume is None


def test_an_open_last_segment_is_left_for_the_next_attempt(tokenizer, tokens):
    segments, resume = split_segments(tokens(0.0, "One.", 1.5, 1.5, "And tw"), tokenizer, 4.0)
    assert segments == [Segment(0.0, 1.5, "One.")]
    assert resume == pytest.approx(1.5)


def test_a_single_open_segment_lasts_to_the_end_of_its_window(tokenizer, tokens):
    assert split_segments(tokens(0.4, "One."), tokenizer, 4.0) == (
        [Segment(0.4, 4.0, "One.")],
        None,
    )


def test_no_time_lies_behind_the_window(tokenizer, tokens):
    segments, _ = split_segments(tokens(0.0, "One.", 7.0), tokenizer, 4.0)
    assert segments == [Segment(0.0, 4.0, "One.")]


def test_nothing_said_is_no_segment(tokenizer, tokens):
    assert split_segments(tokens(0.0, 4.0), tokenizer, 4.0)[0] == []
    assert split_segments([], tokenizer, 4.0) == ([], None)


def next_token(tokenizer, before: list[list[int]], last_words_seconds: float) -> list[int]:
    """Let the model want the word " and" next, and return what each row gets."""
    decoder = StoppingDecoder(0.0, tokenizer, [Hint("en", last_words_seconds)] * len(before))
    logits = torch.zeros(len(before), 51_865)
    logits[:, tokenizer.encode(" and")[0]] = 1.0
    after, _ = decoder.update(torch.tensor(before), logits, torch.zeros(len(before)))
    return after[:, -1].tolist()


def test_a_row_ends_once_its_words_are_over(tokenizer, tokens):
    early, late = tokens(0.0, "One.", 1.0), tokens(0.0, "One.", 3.0)
    word = tokenizer.encode(" and")[0]
    assert next_token(tokenizer, [early, late], 2.5) == [word, tokenizer.eot]


def test_a_row_does_not_end_before_its_first_word(tokenizer, tokens):
    before = [*tokenizer.sot_sequence, *tokens(0.6)]
    assert next_token(tokenizer, [before], 0.4) == tokenizer.encode(" and")[:1]


def test_a_row_that_repeats_itself_ends(tokenizer, tokens):
    loop, text = [0.0, *["Thank you."] * 16], "it was a bright cold day in april and clocks struck"
    loop = tokens(*loop)[:47]
    speech = tokens(0.0, text, text[::-1], text.upper())[:47]
    assert len(loop) == len(speech) == 47
    assert next_token(tokenizer, [loop], 30.0) == [tokenizer.eot]
    assert next_token(tokenizer, [speech], 30.0) == tokenizer.encode(" and")[:1]
