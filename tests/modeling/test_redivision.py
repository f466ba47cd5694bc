"""Coverage over divisions: each is drawn, trained and calibrated anew, and says what it held."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.modeling.test_pipeline import MODALITIES, SEED, TRAINING, assembled, corpus
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.conformal import LEVELS, METHODS
from tiktok_virality.evaluation.splits import assign_splits
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.pipelines.modeling import redivision
from tiktok_virality.pipelines.modeling.redivision import measure_redivided_coverage
from tiktok_virality.training import lineup

SHARES = {"train": 0.4, "validation": 0.2, "calibration": 0.2, "test": 0.2}


def measure(folder: Path, redivisions: int = 2, **division: Any) -> list[dict[str, Any]]:
    inputs = corpus()
    return measure_redivided_coverage(
        assembled(inputs),
        inputs["manifest"],
        TargetParameters(),
        SplitParameters(**SHARES, **division),
        TransformerConfig(width=16, layers=1, heads=2, feedforward=32),
        TRAINING,
        TRAINING,
        CertaintyParameters(redivisions=redivisions),
        SEED,
        "cpu",
        folder,
        **{name: inputs[f"{name}_embeddings"] for name in MODALITIES},
    )


def test_every_division_is_trained_under_its_seed_and_measured_at_every_level(tmp_path):
    rows = measure(tmp_path / "one")
    assert [(row["seed"], row["method"], row["level"]) for row in rows] == [
        (seed, method, level)
        for seed in (SEED + 1, SEED + 2)
        for method in METHODS
        for level in LEVELS
    ]
    names = {path.parent.name + "/" + path.name for path in (tmp_path / "one").glob("*/*")}
    assert {name.split("/")[0] for name in names} >= {"division_6", "division_7"}
    assert rows == measure(tmp_path / "two")


def test_what_a_division_holds_is_counted_on_its_own_test_clips(tmp_path, monkeypatch):
    manifest = corpus()["manifest"]
    rng = np.random.default_rng(1)
    errors = dict(zip(manifest["video_id"], rng.normal(size=len(manifest)), strict=True))

    def predicted(clips, recipe, setting):
        tables = [
            pd.DataFrame(
                {
                    "video_id": part.ids,
                    "split": split,
                    "model": model,
                    "seed": setting.seed,
                    "y_true": part.log_views,
                    "y_pred": part.log_views + np.array([errors[i] for i in part.ids]),
                }
            )
            for split, part in clips.splits.items()
            for model in ("visual", "audio", "ensemble")
        ]
        return pd.concat(tables)

    monkeypatch.setattr(lineup, "train_and_predict_ensemble", predicted)
    rows = pd.DataFrame(measure(tmp_path)).query("method == 'split'")
    for seed in (SEED + 1, SEED + 2):
        placed = assign_splits(manifest, SplitParameters(**SHARES), seed).set_index("video_id")
        size = {
            split: np.abs([errors[i] for i in placed.index[placed["split"] == split]])
            for split in ("calibration", "test")
        }
        for level in LEVELS:
            rank = math.ceil((len(size["calibration"]) + 1) * level)
            held = np.mean(size["test"] <= np.sort(size["calibration"])[rank - 1])
            [row] = rows.query("seed == @seed and level == @level").to_dict("records")
            assert row["coverage"] == pytest.approx(held)
            assert row["n"] == len(size["test"])


def test_nothing_is_trained_unless_it_is_asked_for(tmp_path):
    assert measure(tmp_path, redivisions=0) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("strategy", ["chronological", "group_chronological"])
def test_a_split_by_time_has_nothing_to_redivide(tmp_path, caplog, strategy):
    with caplog.at_level(logging.WARNING):
        assert measure(tmp_path, strategy=strategy) == []
    assert "redivisions is not heeded" in caplog.text


def test_a_division_that_the_clips_do_not_allow_is_left_out(tmp_path, monkeypatch, caplog):
    drawn = []

    def sometimes(manifest, division, seed):
        drawn.append(seed)
        splits = assign_splits(manifest, division, seed)
        return splits[splits["split"] != "test"] if seed == SEED + 1 else splits

    monkeypatch.setattr(redivision, "assign_splits", sometimes)
    with caplog.at_level(logging.WARNING):
        rows = measure(tmp_path)
    assert {row["seed"] for row in rows} == {SEED + 2}
    assert drawn == [SEED + 1, SEED + 2]
    assert f"division with the seed {SEED + 1}: The test split is empty" in caplog.text
