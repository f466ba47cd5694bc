"""Folds within the training split: whole creators, every clip held out once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.tuning.clips import clips
from tiktok_virality.schema import DataError
from tiktok_virality.training.folds import choose, content_digest, creator_folds, set_aside

CLIPS = clips(60)


def folds(seed: int = 1, count: int = 4):
    return creator_folds(CLIPS, count=count, stopping_share=0.2, seed=seed)


def test_every_clip_is_held_out_once():
    assert sorted(i for fold in folds() for i in fold.held_out.ids) == sorted(CLIPS.ids)


def test_no_creator_is_in_two_parts_of_a_fold():
    for fold in folds():
        parts = [set(part.groups) for part in (fold.train, fold.stopping, fold.held_out)]
        assert all(parts)
        assert sum(len(part) for part in parts) == len(set.union(*parts)) == 20


def test_a_seed_makes_the_same_folds_again_and_another_others():
    assert [f.stopping.ids for f in folds(1)] == [f.stopping.ids for f in folds(1)]
    assert [f.held_out.ids for f in folds(1)] != [f.held_out.ids for f in folds(2)]


def test_too_few_creators_are_named_with_what_to_do():
    with pytest.raises(DataError, match=r"holds 2 creators, and 4 folds.*Lower tuning\.folds"):
        creator_folds(clips(6), count=4, stopping_share=0.2, seed=0)


def test_at_least_one_creator_is_set_aside_and_one_is_left():
    groups = np.array(["a", "a", "b"], dtype=object)
    for share in (0.01, 0.99):
        most, few = set_aside(groups, share=share, seed=0)
        assert len(set(groups[most])) == len(set(groups[few])) == 1
        assert sorted([*most, *few]) == [0, 1, 2]


def test_chosen_clips_keep_what_belongs_to_them():
    chosen = choose(CLIPS, np.array([5, 2]))
    assert list(chosen.ids) == ["0-5", "0-2"]
    assert chosen.tokens[0] is CLIPS.tokens[5]
    assert chosen.log_views.tolist() == CLIPS.log_views[[5, 2]].tolist()


def test_the_digest_tells_other_truth_and_other_tokens():
    views = dataclasses.replace(CLIPS, log_views=CLIPS.log_views + 1)
    moved = {name: values + 1 for name, values in CLIPS.tokens[0].tokens.items()}
    first = dataclasses.replace(CLIPS.tokens[0], tokens=moved)
    tokens = dataclasses.replace(CLIPS, tokens=[first, *CLIPS.tokens[1:]])
    assert len({content_digest(each) for each in (CLIPS, views, tokens)}) == 3
    assert content_digest(clips(60)) == content_digest(CLIPS)
