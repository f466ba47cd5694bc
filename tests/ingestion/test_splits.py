from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tiktok_virality.evaluation.splits import assign_splits, group_together
from tiktok_virality.media.limits import ClipLimits, SplitParameters
from tiktok_virality.schema import SPLITS, DataError


def table(*rows: tuple[str, str | None, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["video_id", "creator_id", "duplicate_group"])


def many(videos: int, creators: int, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    creator = (creators * generator.random(videos) ** 2).astype(int)
    return table(*((f"v{i}", f"c{c}", f"d{i}") for i, c in enumerate(creator)))


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
