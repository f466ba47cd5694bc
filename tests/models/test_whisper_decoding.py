from __future__ import annotations

import numpy as np
import pytest
import torch
from whisper.decoding import DecodingOptions, DecodingTask
from whisper.tokenizer import get_tokenizer

from tiktok_virality.models.whisper_decoder import CachedDecoder
from tiktok_virality.models.whisper_decoding import (
    Segment,
    TokenChoice,
    TokenRules,
    is_loop,
    is_over,
    is_said_again,
    split_segments,
)


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


def test_a_text_is_over_once_its_words_are(tokenizer, tokens):
    early, late = tokens(0.0, "One.", 1.0), tokens(0.0, "One.", 3.0)
    assert not is_over(early, tokenizer, 2.5)
    assert is_over(late, tokenizer, 2.5)


def test_a_text_is_not_over_before_its_first_word(tokenizer, tokens):
    assert not is_over(tokens(0.6), tokenizer, 0.4)
    assert not is_over(tokens(0.6, 0.6), tokenizer, 0.4)


def test_a_text_that_repeats_itself_is_a_loop(tokenizer, tokens):
    text = "it was a bright cold day in april and clocks struck"
    loop = tokens(0.0, *["Thank you."] * 16)[:48]
    speech = tokens(0.0, text, text[::-1], text.upper())[:48]
    assert len(loop) == len(speech) == 48
    assert is_loop(loop, tokenizer)
    assert not is_loop(speech, tokenizer)


def test_a_sentence_that_takes_its_time_again_is_no_loop(tokenizer, tokens):
    text = " ask not what your country can do for you"
    said = [part for n in range(8) for part in (3.0 * n, text, 3.0 * n + 2.6)]
    hurried = [part for n in range(8) for part in (0.2 * n, text, 0.2 * n + 0.1)]
    murmured = [part for n in range(20) for part in (1.0 * n, " 1.5%", 1.0 * n + 0.8)]
    assert is_said_again(tokens(*said), tokenizer)
    assert not is_loop(tokens(*said)[:72], tokenizer)
    assert not is_said_again(tokens(*hurried), tokenizer)
    assert is_loop(tokens(*hurried)[:72], tokenizer)
    assert not is_said_again(tokens(*murmured), tokenizer)


def written_rows(tokenizer, tokens) -> list[list[int]]:
    """Beginnings of texts, all of one length, in each of which something else may follow."""
    return [
        tokens(0.0, "One two", 1.5),
        tokens(0.4, "One two three"),
        [*tokens(0.0), *tokenizer.encode(" One"), *tokens(1.5, 1.5)],
        [*tokens(0.2), *tokenizer.encode(" One two"), *tokens(29.9)],
    ]


def test_the_rules_are_whispers_own(small_whisper, tokenizer, tokens):
    task = DecodingTask(small_whisper, DecodingOptions(language="en", fp16=False))
    prompt = list(task.initial_tokens)
    full = torch.tensor(written_rows(tokenizer, tokens))
    rules = TokenRules(tokenizer)
    for count in range(full.shape[1] + 1):
        written = full[:, :count]
        ours = torch.randn(len(full), 51_865, generator=torch.Generator().manual_seed(count))
        ours[1::2, tokenizer.timestamp_begin :] += 4  # times are likelier in half of the rows
        theirs = ours.clone()
        for rule in task.logit_filters:
            rule.apply(theirs, torch.cat([torch.tensor([prompt] * len(full)), written], dim=1))
        rules.apply(ours, written)
        assert torch.equal(ours, theirs)
        assert ours.isfinite().any(dim=1).all()


def test_the_cached_decoder_is_whispers_own_step_by_step(small_whisper, tokenizer, tokens):
    states = [torch.randn(count, 64) for count in (40, 75, 60, 75)]
    read = torch.tensor(written_rows(tokenizer, tokens))
    decoder = CachedDecoder(small_whisper.decoder, tokenizer.timestamp_begin)
    with torch.inference_mode():
        memory, past = decoder.attend(states), decoder.begin(4, read.shape[1])
        logits = [decoder.read(read[:, :2], past, memory)]
        logits += [decoder.read(read[:, [i]], past, memory) for i in range(2, read.shape[1])]
        ours = torch.stack(logits, dim=1)  # [B, n, vocabulary]
        theirs = [
            small_whisper.logits(row[None], window[None])[0, 1:]
            for row, window in zip(read, states, strict=True)
        ]
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=1e-4, atol=1e-4)


def test_rows_that_leave_change_nothing_for_the_others(small_whisper, tokenizer, tokens):
    states = [torch.randn(count, 64) for count in (40, 75, 60, 75)]
    read = torch.tensor(written_rows(tokenizer, tokens))
    decoder = CachedDecoder(small_whisper.decoder, tokenizer.timestamp_begin)
    stay = torch.tensor([0, 2])
    with torch.inference_mode():
        memory, past = decoder.attend(states), decoder.begin(4, read.shape[1])
        decoder.read(read[:, :2], past, memory)
        left = decoder.read(read[stay, 2:3], past.take(stay), memory.take(stay))
        together = decoder.read(read[:, 2:3], past, memory)
    torch.testing.assert_close(left, together[stay], rtol=1e-5, atol=1e-5)


def test_tokens_are_drawn_as_often_as_they_are_likely():
    logits = torch.tensor([0.1, 0.2, 0.7]).log().repeat(1, 1)
    choose = TokenChoice(1.0, seed=1, rows=1, device=torch.device("cpu"))
    drawn = [int(choose(logits, [0])) for _ in range(3000)]
    shares = np.bincount(drawn, minlength=3) / len(drawn)
    np.testing.assert_allclose(shares, [0.1, 0.2, 0.7], atol=0.03)


def test_what_a_row_draws_does_not_depend_on_its_neighbours():
    logits = torch.randn(3, 50)
    together = TokenChoice(1.0, seed=1, rows=3, device=torch.device("cpu"))
    alone = TokenChoice(1.0, seed=1, rows=1, device=torch.device("cpu"))
    for places in ([0, 1, 2], [1, 2], [2]):
        drawn = together(logits[places], places)
        assert drawn[-1] == alone(logits[[2]], [0])
