"""Folds of whole creators: each clip is tested once, by what saw nothing of its group."""

from __future__ import annotations

import pandas as pd
import pytest

from tiktok_virality.evaluation.config import EvaluationParameters
from tiktok_virality.evaluation.cross_fitting import (
    FOLD,
    assign_folds,
    divisions_of,
    held_out_ids,
)
from tiktok_virality.evaluation.leakage import check_no_leak
from tiktok_virality.schema import DataError, ParameterError


def manifest(creators: int = 17, clips: int = 4) -> pd.DataFrame:
    ids = [f"v{index:03d}" for index in range(creators * clips)]
    table = pd.DataFrame(
        {
            "video_id": ids,
            "creator_id": [f"c{index % creators}" for index in range(len(ids))],
            "duplicate_group": ids,
        }
    )
    table.loc[0, "creator_id"] = None  # a group of its own
    table.loc[[3, len(ids) - 5], "duplicate_group"] = "copies"
    return table


def test_every_clip_is_tested_once_validates_once_and_is_kept_with_its_group():
    clips = manifest()
    splits = assign_folds(clips, "group", 5, seed=1)
    divisions = divisions_of(splits)
    assert len(divisions) == 5
    for role in ("test", "validation"):
        ids = [i for each in divisions for i in each.loc[each["split"] == role, "video_id"]]
        assert sorted(ids) == sorted(clips["video_id"])
    for division in divisions:
        check_no_leak(clips, division)
        assert set(division["split"]) == {"train", "validation", "test"}
    check_no_leak(clips, splits)
    assert held_out_ids(splits) == clips["video_id"].tolist()


def test_folds_are_of_about_the_same_size_whatever_the_order_of_rows():
    clips = manifest()
    splits = assign_folds(clips, "group", 5, seed=1)
    sizes = splits[FOLD].value_counts()
    assert sizes.max() - sizes.min() <= 8  # two groups at most
    shuffled = assign_folds(clips.sample(frac=1, random_state=0), "group", 5, seed=1)
    expected = splits.set_index("video_id")[FOLD]
    assert (shuffled.set_index("video_id")[FOLD].loc[expected.index] == expected).all()
    other = assign_folds(clips, "group", 5, seed=2).set_index("video_id")[FOLD]
    assert (other != expected).any()


def test_few_creators_have_fewer_folds_and_two_have_none():
    assert assign_folds(manifest(4), "group", 9, seed=1)[FOLD].nunique() == 5
    with pytest.raises(DataError, match=r"form 2 independent groups.*at least 1 more creators"):
        assign_folds(
            manifest().assign(creator_id=["a", "b"] * 34, duplicate_group=None), "group", 5, seed=1
        )


def test_a_creator_in_two_folds_is_refused():
    clips = manifest()
    splits = assign_folds(clips, "group", 5, seed=1)
    splits.loc[splits["video_id"] == "v005", FOLD] += 1
    with pytest.raises(DataError, match="'c5' is in fold"):
        check_no_leak(clips, splits.assign(fold=splits[FOLD] % 5))


def test_the_scheme_is_chosen_by_the_number_of_clips_and_never_against_time():
    automatic = EvaluationParameters(cross_fitted_below=100)
    assert automatic.is_cross_fitted(99, "group")
    assert not automatic.is_cross_fitted(100, "group")
    assert not automatic.is_cross_fitted(99, "chronological")
    assert not EvaluationParameters(scheme="holdout").is_cross_fitted(5, "group")
    asked = EvaluationParameters(scheme="cross_fitted")
    assert asked.is_cross_fitted(10**6, "random")
    with pytest.raises(ParameterError, match=r"cross_fitted.*group_chronological"):
        asked.is_cross_fitted(99, "group_chronological")
