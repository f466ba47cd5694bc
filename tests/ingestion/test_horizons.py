from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tiktok_virality.evaluation.leakage import check_features
from tiktok_virality.evaluation.targets import Target, TargetParameters
from tiktok_virality.media.limits import HorizonParameters
from tiktok_virality.pipelines.ingestion.nodes import views_at_horizons
from tiktok_virality.schema import DataError

POSTED = "2024-05-01T12:00:00Z"


def post(video_id: str, captured: str | None = None, views: int = 5, reason=None, posted=POSTED):
    return {
        "video_id": video_id,
        "posted_at": pd.Timestamp(posted) if posted else pd.NaT,
        "captured_at": pd.Timestamp(captured) if captured else pd.NaT,
        "views": views,
        "reason": reason,
    }


def at_horizons(*posts, snapshots=None, days=(7,), tolerance=1.0) -> dict[str, object]:
    taken = None
    if snapshots is not None:
        taken = pd.DataFrame(snapshots, columns=["video_id", "captured_at", "views"])
    parameters = HorizonParameters(days=days, tolerance_days=tolerance)
    found = views_at_horizons(pd.DataFrame(posts), taken, parameters)
    return found.set_index("video_id").to_dict()


def test_the_snapshot_nearest_to_the_horizon_counts():
    taken = [
        ("a", "2024-05-07T13:00:00Z", 10),
        ("a", "2024-05-08T11:00:00Z", 20),
        ("a", "2024-05-20T12:00:00Z", 90),
    ]
    assert at_horizons(post("a"), snapshots=taken) == {"views_at_7d": {"a": 20}}


def test_no_snapshot_near_the_horizon_gives_no_count_and_no_guess():
    taken = [("a", "2024-05-06T12:00:00Z", 10), ("a", "2024-05-10T12:00:00Z", 30)]
    assert at_horizons(post("a"), snapshots=taken) == {}
    assert at_horizons(post("a"), snapshots=[]) == {}
    assert at_horizons(post("a"), snapshots=taken, tolerance=2.5) == {"views_at_7d": {"a": 10}}


def test_a_video_whose_posting_time_is_unknown_has_none():
    taken = [(name, "2024-05-08T12:00:00Z", 10) for name in "ab"]
    found = at_horizons(post("a"), post("b", posted=None), snapshots=taken)
    assert found["views_at_7d"]["a"] == 10
    assert pd.isna(found["views_at_7d"]["b"])


def test_a_source_that_holds_a_video_twice_holds_snapshots():
    rows = (
        post("a", "2024-05-02T12:00:00Z", 3),
        post("a", "2024-05-08T12:00:00Z", 8, reason="duplicate id"),
    )
    found = at_horizons(*rows, days=(1, 7))
    assert found == {"views_at_1d": {"a": 3}, "views_at_7d": {"a": 8}}


def test_the_column_is_the_one_that_the_target_asks_for_and_never_a_feature():
    taken = [("a", "2024-05-08T12:00:00Z", 10)]
    parameters = HorizonParameters()
    manifest = views_at_horizons(
        pd.DataFrame([post("a")]),
        pd.DataFrame(taken, columns=["video_id", "captured_at", "views"]),
        parameters,
    )
    target = Target(parameters=TargetParameters(kind="log_views_at_horizon"))
    assert target.truth(manifest, [True]) == pytest.approx(np.log1p([10.0]))
    with pytest.raises(DataError, match="views_at_7d"):
        check_features(["duration_seconds", "views_at_7d"])
