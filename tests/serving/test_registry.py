"""Champion and challenger: when a challenger may be called better."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tiktok_virality.schema import ProjectError
from tiktok_virality.serving.registry import judge, registered_name

CLIPS = 120


def said_by(error: float, seed: int, clips: range = range(CLIPS)) -> pd.DataFrame:
    """What a version with errors of this size says of clips, four of each creator."""
    rng, truth = np.random.default_rng(seed), np.random.default_rng(0).normal(10, 2, CLIPS)
    places = np.array(clips)
    return pd.DataFrame(
        {
            "video_id": [f"clip {place}" for place in places],
            "creator_id": [f"creator {place // 4}" for place in places],
            "y_true": truth[places],
            "y_pred": truth[places] + rng.normal(0, error, len(places)),
        }
    )


def test_a_better_challenger_is_better_and_the_same_one_is_not():
    duel = judge(said_by(2.0, 1), said_by(1.0, 2), ["3", "4"])
    assert duel.challenger_is_better and 0.6 < duel.skill < 0.9
    assert (duel.clips, duel.creators) == (120, 30)
    assert "version 4 has 66% less" in duel.sentence
    assert duel.sentence.endswith("(p <0.001).")
    assert not judge(said_by(1.0, 1), said_by(1.0, 1), ["1", "2"]).challenger_is_better
    worse = judge(said_by(1.0, 1), said_by(2.0, 2), ["1", "2"])
    assert not worse.challenger_is_better and "more squared error" in worse.sentence


def test_challengers_that_differ_by_chance_are_rarely_called_better():
    called = [
        judge(said_by(1.0, seed), said_by(1.0, seed + 500), ["1", "2"]).challenger_is_better
        for seed in range(40)
    ]
    assert sum(called) <= 5


def test_nothing_is_said_of_few_clips_or_of_other_truths():
    with pytest.raises(ProjectError, match="tested on 10 clips"):
        judge(said_by(1.0, 1), said_by(1.0, 2, range(10)), ["1", "2"])
    other = said_by(1.0, 2)
    other["y_true"] += 0.1
    with pytest.raises(ProjectError, match="different truths"):
        judge(said_by(1.0, 1), other, ["1", "2"])


def test_every_environment_has_a_scorer_of_its_own():
    assert registered_name("tiktok_virality", None) == "tiktok_virality"
    assert registered_name("tiktok_virality", "demo") == "tiktok_virality_demo"
