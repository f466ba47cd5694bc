"""Targets: one parameter chooses the scale, and only the training split says where classes part."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tiktok_virality.evaluation.targets import Target, TargetParameters
from tiktok_virality.schema import DataError

POSTED = pd.Timestamp("2024-03-01", tz="UTC")


def target(kind: str, **settings) -> Target:
    return Target(parameters=TargetParameters(kind=kind, **settings))


def manifest(**columns) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_log_views_are_the_default_and_lead_back_to_views():
    rows = manifest(views=[0, 99, 5_000_000])
    truth = Target().truth(rows, [True, True, False])
    np.testing.assert_allclose(truth, np.log1p([0, 99, 5_000_000]))
    np.testing.assert_allclose(Target().views(truth), [0, 99, 5_000_000])
    assert Target().unit == "ln(1 + views)"


def test_views_per_day_count_a_young_clip_as_old_enough_and_leave_out_those_of_no_age():
    rows = manifest(
        views=[1000, 1000, 1000, 1000],
        posted_at=[POSTED, POSTED, None, POSTED],
        captured_at=[POSTED + pd.Timedelta(days=d) for d in (10, 0.01, 5, -1)],
    )
    per_day = target("log_views_per_day", min_age_days=2)
    truth = per_day.truth(rows, [True] * 4)
    np.testing.assert_allclose(truth, [np.log1p(100), np.log1p(500), np.nan, np.nan])
    assert per_day.views(truth) is None
    assert per_day.unit == "ln(1 + views per day)"


def test_views_at_a_horizon_are_read_from_the_snapshots():
    rows = manifest(views=[50, 60, 70], views_at_3d=pd.array([10, None, 30], dtype="Int64"))
    at_three_days = target("log_views_at_horizon", horizon_days=3)
    truth = at_three_days.truth(rows, [True] * 3)
    np.testing.assert_allclose(truth, [np.log1p(10), np.nan, np.log1p(30)])
    assert at_three_days.unit == "ln(1 + views after 3 days)"


def test_a_source_without_snapshots_is_told_what_it_lacks():
    with pytest.raises(DataError, match=r"no column 'views_at_7d'.*snapshots"):
        target("log_views_at_horizon").truth(manifest(views=[1, 2]), [True, True])


def test_quartiles_come_from_the_training_split_alone():
    views = np.arange(100, 112)
    training = np.arange(12) < 8
    quartile = target("quartile")
    truth = quartile.truth(manifest(views=views), training)
    assert truth.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3]
    views[~training] = 1
    changed = quartile.truth(manifest(views=views), training)
    assert changed[training].tolist() == truth[training].tolist()
    assert quartile.views(truth) is None


def test_the_yardstick_of_quartiles_rounds_scores_to_the_nearest_class():
    yardstick = target("quartile").yardstick([0, 0, 0, 1, 2, 3])
    assert yardstick.class_edges == (0.5, 1.5, 2.5)
    assert not yardstick.log_views


def test_the_yardstick_of_log_views_is_made_of_the_training_truth():
    yardstick = Target().yardstick(np.log1p([1, 10, 100, 1000, 10_000]))
    assert yardstick.mean == pytest.approx(np.log1p([1, 10, 100, 1000, 10_000]).mean())
    assert yardstick.median == pytest.approx(np.log1p(100))
    assert yardstick.class_edges == pytest.approx(np.log1p([10, 100, 1000]))
    assert yardstick.log_views
