"""A budget of steps: which clips an epoch draws, and what people are told of the time left."""

from __future__ import annotations

import logging
from collections import Counter
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from tiktok_virality.training import progress
from tiktok_virality.training.data import LengthBuckets
from tiktok_virality.training.parameters import AutoencoderTraining, TrainingParameters
from tiktok_virality.training.progress import TrainingProgress, in_words

CLIPS, DRAWN, EPOCHS = 23, 10, 7


def drawn(seed: int = 1, first: int = 0) -> list[list[int]]:
    """The clips of epochs, from a first one on, in the order in which they come."""
    buckets = LengthBuckets([index % 5 for index in range(CLIPS)], 4, seed, DRAWN)
    buckets.start_at(first)
    return [[clip for batch in buckets for clip in batch] for _ in range(first, EPOCHS)]


def test_no_clip_comes_again_before_all_have_come():
    counts = Counter(clip for epoch in drawn() for clip in epoch)
    assert counts.total() == EPOCHS * DRAWN
    assert {counts[clip] for clip in range(CLIPS)} == {3, 4}


def test_every_epoch_draws_other_clips_as_the_seed_decides():
    epochs = drawn()
    assert len({frozenset(clips) for clips in epochs}) == EPOCHS
    assert epochs == drawn()
    assert epochs != drawn(seed=2)


def test_an_epoch_draws_the_same_clips_whether_or_not_earlier_ones_were_drawn():
    assert drawn(first=4) == drawn()[4:]


def test_an_epoch_of_all_clips_is_the_same_with_and_without_a_budget():
    lengths = [index % 5 for index in range(CLIPS)]
    assert list(LengthBuckets(lengths, 4, 1, CLIPS)) == list(LengthBuckets(lengths, 4, 1))


def test_the_budget_is_shared_out_to_the_epochs():
    parameters = TrainingParameters(epochs=4, batch_size=8, learning_rate=0.1, max_steps=22)
    assert parameters.clips_per_epoch(1000) == 5 * 8
    assert parameters.clips_per_epoch(30) == 30
    accumulated = AutoencoderTraining(
        epochs=4, batch_size=2, accumulation=3, learning_rate=0.1, max_steps=22
    )
    assert accumulated.clips_per_epoch(1000) == 5 * 6


def test_without_a_budget_an_epoch_draws_all_clips():
    assert TrainingParameters(epochs=4, batch_size=8, learning_rate=0.1).clips_per_epoch(99) == 99


def test_a_budget_that_leaves_an_epoch_without_a_step_is_refused():
    with pytest.raises(ValidationError, match="max_steps=3 gives none to some of epochs=4"):
        TrainingParameters(epochs=4, batch_size=8, learning_rate=0.1, max_steps=3)


def test_the_log_says_how_far_a_training_is_and_how_long_the_rest_takes(monkeypatch, caplog):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    resumed = SimpleNamespace(global_step=100)
    shown = TrainingProgress("autoencoder", 400)
    with caplog.at_level(logging.INFO):
        shown.on_train_start(resumed, None)
        for step, seconds in ((101, 2.0), (110, 20.0), (150, 100.0)):
            resumed.global_step, now[0] = step, seconds
            shown.on_train_batch_end(resumed)
    assert [record.getMessage() for record in caplog.records] == [
        "autoencoder: step 150 of 400, at most 8 min left"  # 250 steps of two seconds
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min"), (59 * 60, "59 min"), (3661, "1 h 01 min")],
)
def test_a_length_of_time_is_told_in_words(seconds, words):
    assert in_words(seconds) == words
