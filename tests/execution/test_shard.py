"""Shards: every video in exactly one, whatever others there are."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.execution.transforms import Square, items
from tiktok_virality.execution import Shard, StagePlan


def test_every_video_is_in_exactly_one_shard_and_shards_are_alike_in_size():
    shards = [Shard(number=number, of=8) for number in range(1, 9)]
    ids = [f"video {i}" for i in range(4000)]
    found = Counter(shard for video_id in ids for shard in shards if video_id in shard)
    assert sum(found.values()) == len(ids)
    assert min(found.values()) > 0.8 * len(ids) / 8


def test_a_new_video_moves_no_other():
    """Which shard a video belongs to is part of what several machines agree on: it stays."""
    assert [n for n in range(1, 65) if "7106594312292453675" in Shard(number=n, of=64)] == [45]


def test_a_plan_for_a_shard_leaves_out_the_videos_of_others(tmp_path):
    everything = StagePlan(
        items=items(**{f"v{i}": i for i in range(20)}),
        transform=Square(tmp_path),
        absent={f"a{i}": "silent" for i in range(20)},
    )
    parts = [everything.of_shard(Shard(number=number, of=3)) for number in (1, 2, 3)]
    planned = sorted(item.video_id for part in parts for item in part.items)
    absent = sorted(key for part in parts for key in part.absent)
    assert planned == sorted(item.video_id for item in everything.items)
    assert absent == sorted(everything.absent)
    assert all(0 < len(part.items) < 20 for part in parts)


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("0/4", "from 1 to how many there are, which is 4"),
        ("5/4", "from 1 to how many there are, which is 4"),
        ("0/0", "from 1 to how many there are, which is 0"),
        ("x", "as in 3/64"),
        ("1/2/3", "as in 3/64"),
        ("-1/4", "as in 3/64"),
    ],
)
def test_what_is_no_shard_is_refused(written, fault):
    with pytest.raises(ValueError, match=fault):
        Shard.parse(written)
