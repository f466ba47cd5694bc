from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tiktok_virality.evaluation.leakage import check_no_leak
from tiktok_virality.evaluation.splits import (
    assign_splits,
    group_together,
    repeated_group_folds,
)
from tiktok_virality.media.limits import ClipLimits, SplitParameters
from tiktok_virality.schema import SPLITS, DataError


def table(*rows: tuple[str, str | None, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["video_id", "creator_id", "duplicate_group"])


def many(videos: int, creators: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    creator = (creators * generator.random(videos) ** 2).astype(int)
    return table(*((f"v{i}", f"c{c}", f"d{i}") for i, c in enumerate(creator)))


STRATEGIES = ("group", "chronological", "group_chronological", "random")
LAST_DAY = 400


def dated(videos: int = 400, creators: int = 80, seed: int = 0) -> pd.DataFrame:
    """Creators who post for some weeks each, and some copies that others post later."""
    generator = np.random.default_rng(seed)
    manifest = many(videos, creators, seed)
    begins = dict(enumerate(generator.uniform(0, LAST_DAY, creators)))
    number = manifest["creator_id"].str[1:].astype(int)
    days = number.map(begins) + generator.uniform(0, 60, videos)
    manifest["posted_at"] = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(days, unit="D")
    copies = generator.choice(videos, (videos // 40, 2), replace=False)
    for copy, original in copies:
        manifest.loc[copy, "duplicate_group"] = manifest.loc[original, "duplicate_group"]
    return manifest


def divided(manifest: pd.DataFrame, strategy: str, seed: int = 1) -> pd.DataFrame:
    splits = assign_splits(manifest, SplitParameters(strategy=strategy), seed)
    return splits.merge(manifest, on="video_id", validate="one_to_one")


def crossing(rows: pd.DataFrame, column: str) -> int:
    return int(rows[[column, "split"]].drop_duplicates()[column].duplicated().sum())


def shares(manifest: pd.DataFrame, seed: int = 1) -> dict[str, float]:
    splits = assign_splits(manifest, SplitParameters(), seed)
    return splits["split"].value_counts(normalize=True).to_dict()


def test_videos_hang_together_by_creator_and_by_content():
    manifest = table(
        ("a", "x", "1"), ("b", "y", "1"), ("c", "y", "2"), ("d", None, "3"), ("e", None, "4")
    )
    assert group_together(manifest) == [["a", "b", "c"], ["d"], ["e"]]


@pytest.mark.parametrize("seed", range(5))
def test_no_creator_and_no_content_is_in_two_splits(seed):
    manifest = many(200, 60, seed)
    manifest.loc[::7, "duplicate_group"] = manifest["duplicate_group"].shift(1)[::7]
    manifest["duplicate_group"] = manifest["duplicate_group"].fillna("d0")
    merged = manifest.merge(assign_splits(manifest, SplitParameters(), seed), on="video_id")
    for column in ("creator_id", "duplicate_group"):
        assert len(merged[[column, "split"]].drop_duplicates()) == merged[column].nunique()


@pytest.mark.parametrize("seed", range(10))
def test_splits_have_the_wanted_sizes(seed):
    found = shares(many(300, 100, seed), seed)
    wanted = SplitParameters().shares
    assert all(abs(found[split] - wanted[split]) < 0.03 for split in SPLITS)


@pytest.mark.parametrize("seed", range(10))
def test_one_giant_creator_does_not_fill_a_small_split(seed):
    rows = [(f"g{i}", "giant", f"g{i}") for i in range(40)]
    rows += [(f"s{i}", f"c{i}", f"s{i}") for i in range(60)]
    splits = assign_splits(table(*rows), SplitParameters(), seed).set_index("video_id")["split"]
    assert splits["g0"] == "train"


def test_the_division_follows_from_the_seed_and_not_from_the_order_of_rows():
    manifest = many(100, 40)
    first = assign_splits(manifest, SplitParameters(), 1).set_index("video_id")["split"]
    shuffled = manifest.sample(frac=1, random_state=3)
    again = assign_splits(shuffled, SplitParameters(), 1).set_index("video_id")["split"]
    other = assign_splits(manifest, SplitParameters(), 2).set_index("video_id")["split"]
    assert first.equals(again.loc[first.index])
    assert not first.equals(other)


@pytest.mark.parametrize("videos", [4, 5, 6, 8])
def test_no_split_is_empty_however_few_videos_there_are(videos):
    manifest = table(*((f"v{i}", None, f"d{i}") for i in range(videos)))
    assert set(assign_splits(manifest, SplitParameters(), 0)["split"]) == set(SPLITS)


def test_too_few_independent_groups_say_what_to_add():
    manifest = table(("a", "x", "1"), ("b", "x", "2"), ("c", "y", "3"), ("d", "y", "4"))
    with pytest.raises(DataError, match=r"form 2 independent groups.*at least 2 more creators"):
        assign_splits(manifest, SplitParameters(), 0)


def test_shares_must_add_up_to_one():
    with pytest.raises(ValidationError, match=r"must add up to 1, not 1\.2"):
        SplitParameters(train=0.8)


def test_limits_must_leave_room():
    with pytest.raises(ValidationError, match="min_seconds=9"):
        ClipLimits(min_seconds=9, max_seconds=3)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("seed", range(5))
def test_copies_are_never_in_two_splits_whatever_the_strategy(strategy, seed):
    rows = divided(dated(seed=seed), strategy, seed)
    assert set(rows["split"]) == set(SPLITS)
    assert crossing(rows, "duplicate_group") == 0
    check_no_leak(dated(seed=seed), rows[["video_id", "split", "strategy"]])


def test_only_the_strategies_for_it_share_creators():
    shared = {name: crossing(divided(dated(), name), "creator_id") for name in STRATEGIES}
    assert shared["group"] == shared["group_chronological"] == 0
    assert shared["random"] > 40
    assert shared["chronological"] > 10


def test_a_random_split_has_the_wanted_sizes():
    found = divided(dated(), "random")["split"].value_counts(normalize=True)
    assert all(abs(found[s] - share) < 0.01 for s, share in SplitParameters().shares.items())


def test_a_chronological_split_follows_time_and_loses_only_late_copies():
    manifest = dated()
    rows = divided(manifest, "chronological")
    periods = [rows.loc[rows["split"] == split, "posted_at"] for split in SPLITS]
    for earlier, later in pairwise(periods):
        assert earlier.max() < later.min()
    assert [len(period) / len(rows) for period in periods] == pytest.approx(
        list(SplitParameters().shares.values()), abs=0.03
    )
    lost = manifest[~manifest["video_id"].isin(rows["video_id"])]
    kept = set(rows["duplicate_group"])
    assert 0 < len(lost) <= 10
    assert set(lost["duplicate_group"]) <= kept


@pytest.mark.parametrize("seed", range(5))
def test_a_group_chronological_split_tests_new_creators_after_all_the_rest(seed):
    manifest = dated(seed=seed)
    rows = divided(manifest, "group_chronological", seed)
    test = rows["split"] == "test"
    assert rows.loc[~test, "posted_at"].max() < rows.loc[test, "posted_at"].min()
    assert crossing(rows, "creator_id") == 0
    found = rows["split"].value_counts(normalize=True)
    assert all(abs(found[s] - share) < 0.06 for s, share in SplitParameters().shares.items())
    assert len(rows) > 0.75 * len(manifest)


def test_creators_who_post_all_the_time_cost_a_group_chronological_split_some_videos():
    manifest = dated()
    days = np.random.default_rng(3).permutation(len(manifest))
    moments = pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(days, unit="D")
    rows = divided(manifest.assign(posted_at=moments), "group_chronological")
    assert 0.5 * len(manifest) < len(rows) < 0.8 * len(manifest)
    assert (rows["split"] == "test").mean() == pytest.approx(0.16, abs=0.03)


@pytest.mark.parametrize("strategy", ["chronological", "group_chronological"])
def test_missing_moments_of_posting_are_counted_and_say_what_to_do(strategy):
    manifest = dated(40, 12)
    manifest.loc[[3, 5], "posted_at"] = pd.NaT
    with pytest.raises(DataError, match=r"of 2 of 40 videos .* such as 'v3'.*set .* to group"):
        divided(manifest, strategy)


def test_videos_posted_at_one_moment_cannot_be_divided_by_time():
    same = dated(40, 12).assign(posted_at=pd.Timestamp("2024-05-01", tz="UTC"))
    with pytest.raises(DataError, match=r"at 1 different moments"):
        divided(same, "chronological")
    with pytest.raises(DataError, match="No moment divides the videos"):
        divided(same, "group_chronological")


@pytest.mark.parametrize("videos", [4, 5, 6, 9])
def test_no_period_is_empty_however_few_videos_there_are(videos):
    assert set(divided(dated(40, 40).head(videos), "chronological")["split"]) == set(SPLITS)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_strategy_depends_on_the_order_of_rows(strategy):
    manifest = dated()
    shuffled = manifest.sample(frac=1, random_state=3)
    first, again = (
        divided(rows, strategy).set_index("video_id")["split"].sort_index()
        for rows in (manifest, shuffled)
    )
    pd.testing.assert_series_equal(first, again)


def test_folds_never_touch_the_test_split_and_never_divide_a_group():
    manifest = dated()
    splits = assign_splits(manifest, SplitParameters(), 1)
    open_ids = set(splits.loc[splits["split"] != "test", "video_id"])
    pairs = list(repeated_group_folds(manifest, splits, folds=4, repeats=3, seed=7))
    assert len(pairs) == 12
    for repeat in range(3):
        held_out = [i for _, ids in pairs[4 * repeat : 4 * repeat + 4] for i in ids]
        assert sorted(held_out) == sorted(open_ids)
    for train, validation in pairs:
        assert set(train) | set(validation) == open_ids
        fold = manifest.assign(
            split=np.where(manifest["video_id"].isin(validation), "validation", "train")
        )
        assert crossing(fold[fold["video_id"].isin(open_ids)], "creator_id") == 0
    assert pairs[0] != pairs[4]
    assert pairs == list(repeated_group_folds(manifest, splits, folds=4, repeats=3, seed=7))


def test_more_folds_than_groups_are_refused():
    manifest = dated(40, 6)
    splits = assign_splits(manifest, SplitParameters(), 1)
    with pytest.raises(DataError, match=r"10 folds need .* Ask for at most"):
        list(repeated_group_folds(manifest, splits, folds=10, repeats=1, seed=0))
