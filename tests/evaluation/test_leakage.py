"""What would flatter the results is refused."""

from __future__ import annotations

import pandas as pd
import pytest

from tiktok_virality.evaluation.leakage import check_features, check_no_leak
from tiktok_virality.schema import DataError


def manifest(**changes) -> pd.DataFrame:
    columns = {
        "video_id": ["a", "b", "c", "d"],
        "creator_id": ["ann", "ann", "bob", None],
        "duplicate_group": ["1", "2", "3", "4"],
    }
    return pd.DataFrame(columns | changes)


def splits(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"video_id": list("abcd"), "split": names})


def test_splits_of_whole_creators_pass():
    check_no_leak(manifest(), splits("train", "train", "validation", "test"))


def test_a_creator_in_two_splits_is_named():
    with pytest.raises(DataError, match=r"same creator_id .* 'ann' is in test and train"):
        check_no_leak(manifest(), splits("train", "test", "validation", "test"))


def test_a_copy_in_another_split_is_named():
    copied = manifest(duplicate_group=["1", "2", "1", "4"])
    with pytest.raises(DataError, match=r"same duplicate_group .* '1' is in test and train"):
        check_no_leak(copied, splits("train", "train", "test", "validation"))


def test_a_video_in_two_splits_is_named():
    twice = pd.concat([splits("train", "train", "validation", "test"), splits(*["test"] * 4)])
    with pytest.raises(DataError, match=r"same video_id .* 'a' is in test and train"):
        check_no_leak(manifest(), twice)


def test_videos_of_unknown_creators_are_nobodys_kin():
    unknown = manifest(creator_id=[None] * 4)
    check_no_leak(unknown, splits("train", "test", "validation", "test"))


def test_what_is_known_only_after_posting_is_no_feature():
    check_features(["duration_seconds", "caption"])
    with pytest.raises(DataError, match="captured_at, likes"):
        check_features(["likes", "duration_seconds", "captured_at"])


DAYS = pd.date_range("2024-01-01", periods=4, tz="UTC")


@pytest.mark.parametrize("strategy", ["random", "chronological"])
def test_a_creator_in_two_splits_passes_only_where_the_strategy_says_so(strategy):
    shared = splits("train", "validation", "calibration", "test").assign(strategy=strategy)
    check_no_leak(manifest(posted_at=DAYS), shared)


@pytest.mark.parametrize("strategy", ["random", "chronological", "group", "group_chronological"])
def test_a_copy_in_another_split_is_refused_whatever_the_strategy(strategy):
    copied = manifest(duplicate_group=["1", "2", "3", "1"], posted_at=DAYS)
    made = splits("train", "train", "calibration", "test").assign(strategy=strategy)
    with pytest.raises(DataError, match=r"same duplicate_group .* '1' is in test and train"):
        check_no_leak(copied, made)


def test_a_strategy_that_nobody_knows_is_refused():
    unknown = splits("train", "train", "validation", "test").assign(strategy="clever")
    with pytest.raises(DataError, match=r"made by \['clever'\].*not one of group"):
        check_no_leak(manifest(), unknown)


@pytest.mark.parametrize("strategy", ["chronological", "group_chronological"])
def test_a_test_split_from_before_the_training_split_is_refused(strategy):
    backwards = splits("test", "test", "validation", "train").assign(strategy=strategy)
    with pytest.raises(DataError, match=r"not in the order of time: '[cd]' of .* and '[ac]' of"):
        check_no_leak(manifest(posted_at=DAYS), backwards)


def test_an_undated_video_in_a_split_by_time_is_refused():
    made = splits("train", "train", "validation", "test").assign(strategy="chronological")
    undated = manifest(posted_at=[pd.NaT, *DAYS[1:]])
    with pytest.raises(DataError, match="when 'a' was posted is not known"):
        check_no_leak(undated, made)
