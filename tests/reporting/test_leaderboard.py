"""The leaderboard says what was measured; the verdict compares on clips that chose nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.reporting.conftest import MODALITIES, SEED
from tiktok_virality.evaluation.metrics import METRICS
from tiktok_virality.pipelines.reporting import nodes
from tiktok_virality.schema import SPLITS, DataError

COLUMNS = [
    *("model", "modality", "split", "n"),
    *(column for name in METRICS for column in (name, f"{name}_low", f"{name}_high")),
]


def row_of(leaderboard, model, split="test"):
    return next(row for row in leaderboard if (row["model"], row["split"]) == (model, split))


def test_there_is_a_row_for_every_model_and_split(leaderboard):
    assert {(row["model"], row["modality"]) for row in leaderboard} == set(MODALITIES.items())
    assert len(leaderboard) == len(SPLITS) * len(MODALITIES)
    assert {row["split"]: row["n"] for row in leaderboard} == {
        "train": 44,
        "validation": 20,
        "calibration": 16,
        "test": 40,
    }


def test_every_row_has_exactly_the_columns_of_the_schema(leaderboard):
    assert [list(row) for row in leaderboard] == [COLUMNS] * len(leaderboard)


def test_test_rows_come_first_and_the_least_error_first(leaderboard):
    assert [row["split"] for row in leaderboard[:: len(MODALITIES)]] == [
        "test",
        "calibration",
        "validation",
        "train",
    ]
    errors = [row["mse"] for row in leaderboard if row["split"] == "test"]
    assert errors == sorted(errors)
    assert leaderboard[0]["model"] == "ensemble"


def test_held_out_metrics_lie_in_their_intervals_and_the_training_split_has_none(leaderboard):
    for row in leaderboard:
        for name in METRICS:
            low, value, high = row[f"{name}_low"], row[name], row[f"{name}_high"]
            if row["split"] == "train":
                assert low is None and high is None
            elif value is not None:
                assert low <= value <= high


def test_a_correlation_with_a_constant_is_null_in_valid_json(leaderboard):
    text = json.dumps(leaderboard, allow_nan=False)
    row = row_of(json.loads(text), "training_mean")
    assert row["spearman"] is None and row["pearson_low"] is None
    assert row["mse"] > 0


def test_the_same_seed_gives_the_same_leaderboard(
    leaderboard, predictions, manifest, splits, reporting
):
    again = predictions.sample(frac=1, random_state=1).sort_values("video_id", kind="stable")
    assert nodes.build_leaderboard(again, manifest, splits, reporting, SEED) == [
        pytest.approx(row) for row in leaderboard
    ]


def test_leaking_splits_are_refused(predictions, manifest, splits, reporting):
    leaking = splits.assign(split=splits["split"].where(splits.index != 0, "test"))
    with pytest.raises(DataError, match="'creator00' is in test and train"):
        nodes.build_leaderboard(predictions, manifest, leaking, reporting, SEED)


def test_predictions_of_other_splits_are_refused(predictions, manifest, splits, reporting):
    moved = splits.assign(split=["test"] * 60 + ["train"] * 60)
    with pytest.raises(DataError, match="Run the modeling pipeline again"):
        nodes.build_leaderboard(predictions, manifest, moved, reporting, SEED)


def test_predictions_that_are_no_numbers_name_the_model(predictions, manifest, splits, reporting):
    broken = predictions.copy()
    broken.loc[broken["model"] == "audio", "y_pred"] = np.nan
    with pytest.raises(DataError, match="'audio' on the calibration split: y_pred"):
        nodes.build_leaderboard(broken, manifest, splits, reporting, SEED)


def test_the_best_baseline_is_chosen_on_validation_and_not_on_test(leaderboard, verdict):
    ridge, boosting = (row_of(leaderboard, name) for name in ("ridge", "gradient_boosting"))
    assert boosting["mse"] < ridge["mse"]
    assert verdict["baseline"] == "ridge"
    assert verdict["baseline_validation_mse"] == row_of(leaderboard, "ridge", "validation")["mse"]


def test_a_single_modality_model_is_no_baseline(predictions, manifest, splits, reporting):
    perfect = predictions.copy()
    perfect.loc[perfect["model"] == "visual", "y_pred"] = perfect["y_true"]
    rows = nodes.build_leaderboard(perfect, manifest, splits, reporting, SEED)
    assert nodes.compare_models(perfect, rows, manifest, reporting, SEED)["baseline"] == "ridge"


def test_an_ensemble_that_is_better_is_called_better(verdict, leaderboard):
    assert verdict["outcome"] == "better"
    assert 0 < verdict["mse_gain_low"] < verdict["mse_gain"] < verdict["mse_gain_high"]
    gain = row_of(leaderboard, "ridge")["mse"] - row_of(leaderboard, "ensemble")["mse"]
    assert verdict["mse_gain"] == pytest.approx(gain)
    assert verdict["sentence"].startswith(
        "On 40 clips by 10 creators that no model has seen, the ensemble is better than the best "
        "baseline (ridge, both): its squared error is "
    )
    assert "is better than always saying the training median" in verdict["constant_sentence"]


@pytest.mark.parametrize(
    ("predict", "outcome"),
    [
        (lambda ridge, truth: ridge, "not distinguishable"),
        (lambda ridge, truth: 2 * truth - ridge, "not distinguishable"),
        (lambda ridge, truth: truth + 2 * (ridge - truth), "worse"),
    ],
)
def test_an_ensemble_that_is_not_better_is_not_called_better(
    predict, outcome, predictions, manifest, splits, reporting
):
    changed = predictions.copy()
    ridge = changed.loc[changed["model"] == "ridge", "y_pred"].to_numpy()
    mine = changed["model"] == "ensemble"
    changed.loc[mine, "y_pred"] = predict(ridge, changed.loc[mine, "y_true"].to_numpy())
    rows = nodes.build_leaderboard(changed, manifest, splits, reporting, SEED)
    found = nodes.compare_models(changed, rows, manifest, reporting, SEED)
    assert found["outcome"] == outcome
    assert f"the ensemble is {outcome}" in found["sentence"]


def test_one_test_creator_is_too_few_for_a_claim(predictions, manifest, splits, reporting):
    alone = manifest.assign(
        creator_id=manifest["creator_id"].where(splits["split"] != "test", "one")
    )
    rows = nodes.build_leaderboard(predictions, alone, splits, reporting, SEED)
    found = nodes.compare_models(predictions, rows, alone, reporting, SEED)
    assert found["outcome"] == "not distinguishable"
    assert "too few creators for an interval" in found["sentence"]
    assert found["mse_gain_low"] is None


def test_without_an_ensemble_there_is_no_verdict(predictions, leaderboard, manifest, reporting):
    without = predictions[predictions["model"] != "ensemble"]
    with pytest.raises(DataError, match="ensemble"):
        nodes.compare_models(without, leaderboard, manifest, reporting, SEED)
