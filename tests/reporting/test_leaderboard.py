"""The leaderboard says what was measured, of every seed, and keeps apart who knows what."""

from __future__ import annotations

import json
import statistics

import numpy as np
import pytest

from tests.reporting.conftest import MODALITIES, REGIMES, REPEATED, SEED, SEEDS
from tiktok_virality.evaluation.metrics import METRICS, regression_metrics
from tiktok_virality.evaluation.targets import Target, TargetParameters
from tiktok_virality.hooks import metrics_by_model
from tiktok_virality.models.roles import role_of
from tiktok_virality.pipelines.reporting import nodes
from tiktok_virality.pipelines.reporting.tables import main_rows, regime_tables
from tiktok_virality.schema import SPLITS, DataError

COLUMNS = [
    *("model", "modality", "regime", "role", "seed", "split", "n"),
    *(column for name in METRICS for column in (name, f"{name}_low", f"{name}_high")),
]
ROWS_PER_SPLIT = len(MODALITIES) + len(REPEATED) * (len(SEEDS) - 1)


def row_of(leaderboard, model, split="test", seed=SEED):
    return next(
        row
        for row in leaderboard
        if (row["model"], row["split"], row["seed"]) == (model, split, seed)
    )


def test_there_is_a_row_for_every_model_split_and_seed(leaderboard):
    assert {(row["model"], row["modality"]) for row in leaderboard} == set(MODALITIES.items())
    assert len(leaderboard) == len(SPLITS) * ROWS_PER_SPLIT
    for model in MODALITIES:
        seeds = [row["seed"] for row in leaderboard if row["model"] == model]
        assert set(seeds) == (set(SEEDS) if model in REPEATED else {SEED})
    assert {row["split"]: row["n"] for row in leaderboard} == {
        "train": 44,
        "validation": 20,
        "calibration": 16,
        "test": 40,
    }


def test_every_row_has_exactly_the_columns_of_the_schema(leaderboard):
    assert [list(row) for row in leaderboard] == [COLUMNS] * len(leaderboard)
    assert all(row["role"] == role_of(row["model"]) for row in leaderboard)
    assert all(row["regime"] == REGIMES[row["model"]] for row in leaderboard)


def test_test_rows_come_first_then_content_then_the_least_error_then_the_main_seed(leaderboard):
    assert [row["split"] for row in leaderboard[::ROWS_PER_SPLIT]] == [
        "test",
        "calibration",
        "validation",
        "train",
    ]
    test = leaderboard[:ROWS_PER_SPLIT]
    assert test[0]["model"] == "ensemble"
    assert [row["seed"] for row in test[: len(SEEDS)]] == list(SEEDS)
    main = [row for row in main_rows(leaderboard, "test") if row["regime"] == "content"]
    assert [row["seed"] for row in main] == [SEED] * len(main)
    assert [row["mse"] for row in main] == sorted(row["mse"] for row in main)
    assert test[-1]["model"] == "creator_history"


def test_a_model_that_knows_the_creator_never_stands_in_a_table_of_content(leaderboard):
    best = min(leaderboard[:ROWS_PER_SPLIT], key=lambda row: row["mse"])
    assert best["model"] == "creator_history"
    for split in SPLITS:
        tables = {table.regime: table for table in regime_tables(leaderboard, split)}
        assert [row["model"] for row in tables["creator"].rows] == ["creator_history"]
        content = [row["model"] for row in tables["content"].rows]
        assert sorted(content) == sorted(set(MODALITIES) - {"creator_history"})


def test_a_model_that_is_shown_what_was_planted_has_a_table_of_its_own(
    predictions, manifest, splits, target, reporting
):
    shown = predictions["model"] == "creator_history"
    planted = predictions.copy()
    planted.loc[shown, ["model", "regime"]] = "planted"
    planted.loc[shown, "model"] = "planted_factors"
    rows = nodes.build_leaderboard(planted, manifest, splits, target, reporting, SEED)
    tables = regime_tables(rows, "test")
    assert [table.regime for table in tables] == ["content", "planted"]
    assert [row["model"] for row in tables[1].rows] == ["planted_factors"]
    assert "planted_factors" not in {
        row["reference"] for row in nodes.compare_models(rows, planted, manifest, reporting, SEED)
    }


def test_the_spread_over_seeds_is_the_deviation_of_the_rows_of_a_model(leaderboard):
    content = regime_tables(leaderboard, "test")[0]
    assert content.seeds == len(SEEDS)
    rows = {row["model"]: row for row in content.rows}
    errors = [row_of(leaderboard, "ensemble", seed=seed)["mse"] for seed in SEEDS]
    assert rows["ensemble"]["mse_seed_sd"] == pytest.approx(statistics.stdev(errors))
    assert rows["ensemble"]["mse"] == errors[0]
    assert rows["ridge"]["mse_seed_sd"] is None
    assert rows["training_mean"]["spearman_seed_sd"] is None


def test_mlflow_hears_of_the_main_seed_and_of_the_spread(leaderboard):
    logged = metrics_by_model(leaderboard)
    ensemble = logged["ensemble"]
    assert set(logged) == set(MODALITIES)
    assert ensemble["test_mse"] == row_of(leaderboard, "ensemble")["mse"]
    errors = [row_of(leaderboard, "ensemble", seed=seed)["r2"] for seed in SEEDS]
    assert ensemble["test_r2_seed_sd"] == pytest.approx(statistics.stdev(errors))
    assert "test_mse_low" in ensemble and "train_mse_low" not in ensemble
    assert not [key for key in ensemble if key.endswith("_seed") or "role" in key]
    assert not [key for key in logged["ridge"] if key.endswith("_seed_sd")]


def test_metrics_of_ten_creators_lie_in_their_intervals_and_others_have_none(leaderboard):
    """Validation and calibration have fewer creators, and models know the training split."""
    for row in leaderboard:
        for name in METRICS:
            low, value, high = row[f"{name}_low"], row[name], row[f"{name}_high"]
            if row["split"] != "test":
                assert low is None and high is None
            elif low is not None and name not in ("macro_f1", "ordinal_correlation"):
                assert low <= value <= high
    assert row_of(leaderboard, "ridge")["mse_low"] is not None


def test_skill_is_measured_against_the_training_split(leaderboard, predictions):
    train = predictions.query("split == 'train' and model == 'ridge'")
    test = predictions.query("split == 'test' and model == 'ridge'")
    error = np.mean((test["y_pred"] - test["y_true"]) ** 2)
    constant = np.mean((train["y_true"].mean() - test["y_true"]) ** 2)
    assert row_of(leaderboard, "ridge")["skill_mean"] == pytest.approx(1 - error / constant)
    assert row_of(leaderboard, "training_mean")["skill_mean"] == pytest.approx(0)


def test_a_target_of_classes_has_no_errors_in_views(predictions, manifest, splits, reporting):
    quartile = TargetParameters(kind="quartile")
    train = (splits["split"] == "train").to_numpy()
    truth = Target(parameters=quartile).truth(manifest, train)
    classes = dict(zip(manifest["video_id"], truth, strict=True))
    scored = predictions.assign(y_true=predictions["video_id"].map(classes))
    scored["y_pred"] = scored["y_true"] + 0.2
    rows = nodes.build_leaderboard(scored, manifest, splits, quartile, reporting, SEED)
    row = row_of(rows, "ensemble")
    assert row["mae_views"] is None and row["macro_f1"] == 1
    assert row["mse"] == pytest.approx(regression_metrics([0.0, 1], [0.2, 1.2])["mse"])


def test_a_correlation_with_a_constant_is_null_in_valid_json(leaderboard):
    text = json.dumps(leaderboard, allow_nan=False)
    row = row_of(json.loads(text), "training_mean")
    assert row["spearman"] is None and row["pearson_low"] is None
    assert row["mse"] > 0


def test_the_same_seed_gives_the_same_leaderboard(
    leaderboard, predictions, manifest, splits, target, reporting
):
    again = predictions.sample(frac=1, random_state=1).sort_values("video_id", kind="stable")
    assert nodes.build_leaderboard(again, manifest, splits, target, reporting, SEED) == [
        pytest.approx(row) for row in leaderboard
    ]


def test_leaking_splits_are_refused(predictions, manifest, splits, target, reporting):
    leaking = splits.assign(split=splits["split"].where(splits.index != 0, "test"))
    with pytest.raises(DataError, match="'creator00' is in test and train"):
        nodes.build_leaderboard(predictions, manifest, leaking, target, reporting, SEED)


def test_predictions_of_other_splits_are_refused(predictions, manifest, splits, target, reporting):
    moved = splits.assign(split=["test"] * 60 + ["train"] * 60)
    with pytest.raises(DataError, match="Run the modeling pipeline again"):
        nodes.build_leaderboard(predictions, manifest, moved, target, reporting, SEED)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda p: p.assign(y_pred=p["y_pred"].where(p["model"] != "audio")), "'audio' on the"),
        (
            lambda p: p.assign(y_true=np.nan),
            "training split in predictions: y_true",
        ),
        (lambda p: p.drop(columns=["regime", "seed"]), "lack the columns regime, seed"),
        (lambda p: p.assign(regime="everything"), "regime 'everything'; there are content"),
        (lambda p: p.assign(model=p["model"].replace("audio", "oracle")), "called 'oracle'"),
        (lambda p: p.assign(seed=SEED), "has more than one prediction of 'clip000'"),
        (lambda p: p[p["split"] != "train"], "The truth of the training split in predictions"),
        (lambda p: p[(p["model"] != "visual") | (p["seed"] != SEED)], "none with the seed 3"),
    ],
)
def test_broken_predictions_say_what_is_wrong(
    broken, message, predictions, manifest, splits, target, reporting
):
    with pytest.raises(DataError, match=message) as raised:
        nodes.build_leaderboard(broken(predictions), manifest, splits, target, reporting, SEED)
    assert "kedro run --pipeline modeling" in str(raised.value)
