"""The leak, shown: where only the creator matters, a random split flatters, a group split not."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.models.baselines import PooledClips
from tiktok_virality.training.parameters import SplitStudyParameters
from tiktok_virality.training.split_study import StudiedClips, compare_splits

CREATORS, CLIPS_EACH, SIZE = 40, 6, 64


def corpus() -> StudiedClips:
    """Every creator has a look and a following of their own; nothing else decides the views."""
    rng = np.random.default_rng(0)
    creator = np.repeat(np.arange(CREATORS), CLIPS_EACH)
    count = len(creator)
    look = rng.normal(size=(CREATORS, SIZE))[creator] + 0.3 * rng.normal(size=(count, SIZE))
    days = rng.uniform(0, 300, CREATORS)[creator] + rng.uniform(0, 30, count)
    names = np.char.add("c", creator.astype(str))
    return StudiedClips(
        manifest=pd.DataFrame(
            {
                "video_id": [f"v{number:03}" for number in range(count)],
                "creator_id": names,
                "duplicate_group": [f"d{number}" for number in range(count)],
                "posted_at": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(days, unit="D"),
            }
        ),
        features=PooledClips(
            duration=np.ones((count, 1)),
            modalities={"visual": look, "audio": rng.normal(size=(count, 4))},
            creator=names,
        ),
        truth=rng.normal(10, 2, CREATORS)[creator] + 0.5 * rng.normal(size=count),
        groups=names.astype(object),
    )


def study(clips: StudiedClips, **changes) -> pd.DataFrame:
    chosen = {"models": ["ridge", "creator_history"], "redraws": 2, "seed": 3} | changes
    return pd.DataFrame(compare_splits(clips, SplitParameters(), **chosen))


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return study(corpus())


def test_where_only_the_creator_matters_a_random_split_scores_visibly_higher(rows):
    skill = rows.groupby(["model", "strategy"])["skill"].mean()
    assert skill["ridge", "random"] > 0.25
    assert skill["ridge", "group"] < 0.1
    assert skill["creator_history", "random"] > 0.7
    assert abs(skill["creator_history", "group"]) < 0.1
    assert skill["ridge", "group_chronological"] < 0.1


def test_there_is_a_row_per_strategy_draw_and_model(rows):
    assert rows.groupby("strategy")["seed"].nunique().to_dict() == {
        "chronological": 1,
        "group": 2,
        "group_chronological": 2,
        "random": 2,
    }
    assert set(zip(rows["model"], rows["regime"], strict=True)) == {
        ("ridge", "content"),
        ("creator_history", "creator"),
    }
    assert (rows["n_test"] > 15).all()
    again = study(corpus(), models=["ridge"])
    of_ridge = rows[rows["model"] == "ridge"].reset_index(drop=True)
    pd.testing.assert_frame_equal(again, of_ridge)


def test_clips_without_dates_are_not_divided_by_time_and_the_log_says_so(caplog):
    clips = corpus()
    clips.manifest["posted_at"] = pd.Series(pd.NaT, clips.manifest.index, "datetime64[us, UTC]")
    with caplog.at_level(logging.INFO):
        rows = study(clips, models=["ridge"], redraws=1)
    assert set(rows["strategy"]) == {"random", "group"}
    assert "leaves out chronological" in caplog.text
    assert "240 of 240 videos" in caplog.text


def test_an_unknown_model_is_refused_by_name():
    with pytest.raises(ValidationError, match=r"\['oracle'\] are no baselines"):
        SplitStudyParameters(models=("oracle",))
