"""A control that must fail: test rows in training. A copy cannot hide behind another encoding."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.ingestion.conftest import PICTURES
from tests.media.encoding import ffmpeg
from tiktok_virality.evaluation.config import EvaluationParameters
from tiktok_virality.evaluation.leakage import check_no_leak
from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.pipelines.ingestion.nodes import split_videos
from tiktok_virality.schema import DataError

HOLDOUT = EvaluationParameters(scheme="holdout")
REENCODED = ["-vf", "scale=60:106", "-c:v", "libx265", "-preset", "ultrafast", "-crf", "30"]


@pytest.fixture
def manifest(corpus) -> pd.DataFrame:
    """Six clips, and a copy of the first under another id, creator, codec and size."""
    for color in PICTURES:
        corpus.add(f"{color}.mp4", color)
    ffmpeg("-i", corpus.videos / "red.mp4", *REENCODED, corpus.videos / "stolen.mp4")
    corpus.describe(
        *(
            {"id": name, "views": 5, "creator": f"of {name}", "posted_at": f"2024-03-{day:02}"}
            for day, name in enumerate([*PICTURES, "stolen"], start=1)
        )
    )
    return corpus.ingest()[0]


def test_a_copied_test_clip_stays_with_its_original_or_out(manifest):
    groups = manifest.set_index("video_id")["duplicate_group"]
    assert groups["stolen"] == groups["red"]
    assert groups.nunique() == len(PICTURES)
    for strategy in ("group", "random", "chronological", "group_chronological"):
        for seed in range(8):
            splits = split_videos(manifest, SplitParameters(strategy=strategy), HOLDOUT, seed)
            pair = splits.loc[splits["video_id"].isin(["red", "stolen"]), "split"]
            assert len(set(pair)) <= 1
            check_no_leak(manifest, splits)


@pytest.mark.parametrize("strategy", ["group", "random"])
def test_splits_that_part_a_copy_from_its_original_are_refused(manifest, strategy):
    splits = split_videos(manifest, SplitParameters(strategy=strategy), HOLDOUT, seed=1)
    parted = splits.assign(
        split=splits["split"]
        .mask(splits["video_id"] == "red", "test")
        .mask(splits["video_id"] == "stolen", "train")
    )
    with pytest.raises(DataError, match="same duplicate_group is in more than one split"):
        check_no_leak(manifest, parted)
