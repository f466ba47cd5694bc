"""What became of scored clips, and what follows from it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tiktok_virality.datasets import PostMetadata
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.pipelines.monitoring import nodes
from tiktok_virality.schema import DataError

CLIPS = 150


def scored(seed: int, clips: int = CLIPS, unlike: float = 0.03) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    prediction = rng.normal(10, 1, clips)
    return pd.DataFrame(
        {
            "video_id": [f"draft {k}" for k in range(clips)],
            "prediction": prediction,
            "lower": prediction - 1.2816,  # holds 80 % of errors with deviation 1
            "upper": prediction + 1.2816,
            "unlike": rng.random(clips) < unlike,
        }
    )


def became(scores: pd.DataFrame, seed: int, bias: float = 0.0, error: float = 1.0) -> pd.DataFrame:
    rng = np.random.default_rng([seed, 1])
    truth = scores["prediction"] + bias + error * rng.normal(size=len(scores))
    return scores.assign(y_true=truth, views=np.expm1(truth).round())


@pytest.fixture(scope="module")
def predictions() -> pd.DataFrame:
    tested = became(scored(99, 300), 99)
    row = {"model": "ensemble", "split": "test"}
    return tested.rename(columns={"prediction": "y_pred"})[["y_true", "y_pred"]].assign(**row)


def watched(outcomes, scores, predictions):
    told = nodes.watch_models(outcomes, scores, predictions, CertaintyParameters())
    return json.loads(json.dumps(told))


def test_models_that_hold_are_kept_and_alarms_are_rare(predictions):
    advice = [
        watched(became(scored(seed), seed), scored(seed), predictions)["advice"]
        for seed in range(40)
    ]
    assert advice.count("keep") >= 36


@pytest.mark.parametrize(
    ("bias", "error", "name"), [(0.5, 1.0, "bias"), (0.0, 1.8, "errors"), (0.0, 1.8, "intervals")]
)
def test_models_that_do_not_hold_are_to_be_trained_anew(bias, error, name, predictions):
    scores = scored(1)
    told = watched(became(scores, 1, bias, error), scores, predictions)
    assert told["advice"] == "train" and "Train anew" in told["sentence"]
    assert next(check for check in told["checks"] if check["name"] == name)["alarm"]


def test_inputs_that_change_before_errors_do_are_looked_at(predictions):
    scores = scored(7, unlike=0.3)
    told = watched(became(scores, 7), scores, predictions)
    assert told["advice"] == "look" and "unlike clips" in told["sentence"]
    shifted = scored(3).assign(prediction=lambda table: table["prediction"] + 1)
    told = watched(became(shifted, 3), shifted, predictions)
    alarms = [check["name"] for check in told["checks"] if check["alarm"]]
    assert "answers" in alarms and "bias" not in alarms


def test_of_few_clips_nothing_is_said(predictions):
    scores = scored(4, 19)
    told = watched(became(scores, 4), scores, predictions)
    assert (told["advice"], told["checks"]) == ("wait", [])
    assert "19 scored clips, and 20 are needed" in told["sentence"]


def posts(folder, rows) -> pd.DataFrame:
    folder.mkdir(exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps(rows))
    return PostMetadata(filepath=str(folder)).load()


def test_clips_are_known_by_file_or_id_and_the_latest_count_stands(tmp_path):
    rows = [
        {"file": "draft 0.mp4", "views": "1.5K"},
        {"id": "draft 1", "views": "20"},
        {"id": "draft 1", "views": "40"},
        {"id": "another", "views": "7"},
    ]
    found = nodes.join_outcomes(scored(5, 5), posts(tmp_path / "p", rows), TargetParameters())
    assert dict(zip(found["video_id"], found["views"], strict=True)) == {
        "draft 0": 1500,
        "draft 1": 40,
    }
    np.testing.assert_allclose(found["y_true"], np.log1p([1500, 40]))
    assert len(nodes.plot_outcomes(found).data) == 2


def test_posts_that_nobody_scored_are_said_to_be_none(tmp_path):
    with pytest.raises(DataError, match="None of the 1 posts"):
        found = posts(tmp_path / "p", [{"id": "another", "views": "7"}])
        nodes.join_outcomes(scored(6, 5), found, TargetParameters())
    with pytest.raises(DataError, match=r"set modeling\.target\.kind"):
        nodes.join_outcomes(scored(6, 5), found, TargetParameters(kind="quartile"))
