"""The verdict compares on clips that chose nothing, and claims no more than chance leaves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.reporting.conftest import MODALITIES, SEED, SEEDS
from tests.reporting.test_leaderboard import row_of
from tiktok_virality.evaluation.significance import holm
from tiktok_virality.pipelines.reporting import nodes
from tiktok_virality.pipelines.reporting.comparisons import CHALLENGER
from tiktok_virality.pipelines.reporting.verdict import reach_verdict
from tiktok_virality.schema import DataError


@pytest.fixture
def judge(manifest, splits, target, reporting):
    """Run all that leads to a verdict."""

    def judge(predictions, manifest=manifest):
        rows = nodes.build_leaderboard(predictions, manifest, splits, target, reporting, SEED)
        compared = nodes.compare_models(rows, predictions, manifest, reporting, SEED)
        return nodes.judge_ensemble(rows, compared, reporting)

    return judge


def ensemble_says(predictions: pd.DataFrame, predict, seeds=SEEDS) -> pd.DataFrame:
    """Return predictions in which the ensemble makes something of what ridge says."""
    changed = predictions.copy()
    ridge = changed.loc[changed["model"] == "ridge", "y_pred"].to_numpy()
    for seed in seeds:
        mine = (changed["model"] == CHALLENGER) & (changed["seed"] == seed)
        changed.loc[mine, "y_pred"] = predict(ridge, changed.loc[mine, "y_true"].to_numpy())
    return changed


def test_the_best_baseline_is_chosen_on_validation_and_not_on_test(leaderboard, verdict):
    ridge, boosting = (row_of(leaderboard, name) for name in ("ridge", "gradient_boosting"))
    assert boosting["mse"] < ridge["mse"]
    assert verdict["baseline"] == "ridge"
    assert verdict["baseline_validation_mse"] == row_of(leaderboard, "ridge", "validation")["mse"]


@pytest.mark.parametrize("model", ["visual", "late_fusion_gate", "creator_history"])
def test_neither_a_part_nor_a_variant_nor_who_knows_the_creator_is_a_baseline(
    model, predictions, judge
):
    perfect = predictions.copy()
    perfect.loc[perfect["model"] == model, "y_pred"] = perfect["y_true"]
    assert judge(perfect)["baseline"] == "ridge"


def test_the_ensemble_is_compared_with_all_others_of_its_regime_and_every_seed(comparisons):
    expected = set(MODALITIES) - {"ensemble", "creator_history"}
    for seed in SEEDS:
        rows = [row for row in comparisons if row["seed"] == seed]
        assert {row["reference"] for row in rows} == expected
        assert len(rows) == len(expected)
        assert {row["regime"] for row in rows} == {"content"}
    assert comparisons[0]["seed"] == SEED


def test_a_comparison_says_what_the_leaderboard_says(comparisons, leaderboard):
    for row in comparisons:
        if row["seed"] == SEED:
            reference, ours = (row_of(leaderboard, m) for m in (row["reference"], "ensemble"))
            assert row["mse_gain"] == pytest.approx(reference["mse"] - ours["mse"])
            assert row["role"] == reference["role"]
            assert row["p_value"] <= row["p_adjusted"] <= 1


def test_an_ensemble_that_is_better_is_called_better(verdict, leaderboard):
    assert verdict["outcome"] == "better"
    assert verdict["significant"] and verdict["p_adjusted"] <= 0.1
    assert 0 < verdict["mse_gain_low"] < verdict["mse_gain"] < verdict["mse_gain_high"]
    gain = row_of(leaderboard, "ridge")["mse"] - row_of(leaderboard, "ensemble")["mse"]
    assert verdict["mse_gain"] == pytest.approx(gain)
    assert verdict["sentence"].startswith(
        "On 40 clips by 10 creators that no model has seen, the ensemble is better than the best "
        "baseline (ridge, everything) by 9"
    )
    assert "is better than always saying the training median" in verdict["constant_sentence"]
    assert "no correction for others is due" in verdict["test_sentence"]


@pytest.mark.parametrize(
    ("predict", "outcome"),
    [
        (lambda ridge, truth: ridge, "not distinguishable"),
        (lambda ridge, truth: 2 * truth - ridge, "not distinguishable"),
        (lambda ridge, truth: truth + 2 * (ridge - truth), "worse"),
    ],
)
def test_an_ensemble_that_is_not_better_is_not_called_better(predict, outcome, predictions, judge):
    found = judge(ensemble_says(predictions, predict))
    assert found["outcome"] == outcome
    assert f"the ensemble is {outcome}" in found["sentence"]


def test_the_one_planned_comparison_is_not_corrected_and_all_others_are(comparisons):
    for seed in SEEDS:
        rows = [row for row in comparisons if row["seed"] == seed]
        planned = [row for row in rows if row["planned"]]
        assert [row["reference"] for row in planned] == ["ridge"]
        assert planned[0]["p_adjusted"] == planned[0]["p_value"]
        others = [row for row in rows if not row["planned"]]
        assert [row["p_adjusted"] for row in others] == holm([row["p_value"] for row in others])


def test_what_chance_leaves_open_is_not_claimed(leaderboard, comparisons, reporting):
    """The interval excludes zero; the test does not agree."""
    rows = [dict(row) for row in comparisons]
    assert reach_verdict(leaderboard, rows, reporting.confidence)["outcome"] == "better"
    for row in rows:
        if row["reference"] == "ridge":
            row |= {"p_value": 0.36, "p_adjusted": 0.36, "significant": False}
            row["outcome"] = "not distinguishable"
    found = reach_verdict(leaderboard, rows, reporting.confidence)
    assert found["mse_gain_low"] > 0
    assert "is not distinguishable from the best baseline (ridge, everything)" in found["sentence"]
    assert "p\u00a0=\u00a00.36" in found["test_sentence"]


def test_a_gain_on_few_creators_is_claimed_of_the_planned_comparison_alone(
    leaderboard, predictions, manifest, reporting
):
    """Better on all of six creators: p = 2 / 64 is below 0.1, and not below 0.1 / 8."""
    test = predictions[predictions["split"] == "test"]
    few = sorted(test["video_id"].unique())[:24]
    kept = predictions[(predictions["split"] != "test") | predictions["video_id"].isin(few)]
    better = ensemble_says(kept, lambda ridge, truth: truth + 0.5 * (ridge - truth))
    ridge = better.loc[better["model"] == "ridge", "y_pred"].to_numpy()
    better.loc[better["model"] == "visual", "y_pred"] = np.resize(
        ridge, (better["model"] == "visual").sum()
    )
    for name in ("late_fusion_gate", "early_fusion", "audio", "gradient_boosting"):
        better.loc[better["model"] == name, "y_pred"] = better["y_true"] + 1.0
    rows = nodes.compare_models(leaderboard, better, manifest, reporting, SEED)
    main = {row["reference"]: row for row in rows if row["seed"] == SEED}
    assert main["ridge"]["low"] is None
    assert main["ridge"]["p_value"] == main["visual"]["p_value"] == pytest.approx(2 / 64)
    assert main["ridge"]["outcome"] == "better"
    assert main["visual"]["outcome"] == "not distinguishable"


def test_it_is_said_in_how_many_seeds_the_same_holds(predictions, judge, verdict):
    assert verdict["seeds"]["count"] == verdict["seeds"]["agreeing"] == len(SEEDS)
    assert "is better than the best baseline in all of them" in verdict["seed_sentence"]
    skills = [row["skill"] for row in verdict["seeds"]["rows"]]
    assert verdict["seeds"]["skill_sd"] == pytest.approx(np.std(skills, ddof=1))
    lucky = judge(ensemble_says(predictions, lambda ridge, truth: ridge, SEEDS[1:]))
    assert lucky["outcome"] == "better"
    assert lucky["seeds"]["agreeing"] == 1
    assert "is better than the best baseline in 1 of them" in lucky["seed_sentence"]


def test_a_single_seed_is_said_to_be_one(predictions, judge):
    found = judge(predictions[predictions["seed"] == SEED])
    assert found["seeds"]["count"] == 1 and found["seeds"]["skill_sd"] is None
    assert "of one training, with the seed 3" in found["seed_sentence"]


def test_one_test_creator_is_too_few_for_a_claim(predictions, manifest, splits, judge):
    alone = manifest.assign(
        creator_id=manifest["creator_id"].where(splits["split"] != "test", "one")
    )
    found = judge(predictions, alone)
    assert found["outcome"] == "not distinguishable"
    assert "Too few creators to say whether" in found["headline"]
    assert "nothing can be said of whether the ensemble is better" in found["sentence"]
    assert "an interval needs 10 creators" in found["sentence"]
    assert "Nor of whether" in found["constant_sentence"]
    assert "1 test creator can never be enough" in found["test_sentence"]
    assert found["mse_gain_low"] is None


def test_few_creators_are_enough_where_the_paired_test_allows(
    leaderboard, predictions, manifest, reporting
):
    """Nine creators: 2 / 2^9 is below 0.1."""
    test = predictions[predictions["split"] == "test"]
    nine = sorted(test["video_id"].unique())[:36]
    models = ("ensemble", "ridge", "training_median", "training_mean")
    kept = test[test["video_id"].isin(nine) & test["model"].isin(models)]
    better = ensemble_says(kept, lambda ridge, truth: truth + 0.5 * (ridge - truth))
    rows = nodes.compare_models(leaderboard, better, manifest, reporting, SEED)
    row = next(row for row in rows if row["reference"] == "ridge")
    assert row["clusters"] == 9 and row["low"] is None and row["skill_low"] is None
    assert row["significant"] and row["outcome"] == "better"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda p: p[p["model"] != "ensemble"], "no predictions of 'ensemble' with the seed 3"),
        (lambda p: p[(p["model"] != "ensemble") | (p["seed"] != SEED)], "only with 4, 5"),
        (lambda p: p[p["model"].isin(["ensemble", "creator_history"])], "nothing to compare"),
        (
            lambda p: p[(p["model"] != "ridge") | (p["video_id"] != "clip100")],
            "'ridge' has not predicted 1 of the test clips.*'clip100'",
        ),
    ],
)
def test_what_cannot_be_compared_says_why(
    broken, message, leaderboard, predictions, manifest, reporting
):
    with pytest.raises(DataError, match=message):
        nodes.compare_models(leaderboard, broken(predictions), manifest, reporting, SEED)


def test_without_a_baseline_on_validation_there_is_no_verdict(leaderboard, comparisons, reporting):
    rows = [row for row in leaderboard if row["role"] not in ("constant", "baseline")]
    with pytest.raises(DataError, match="nothing to beat"):
        nodes.judge_ensemble(rows, comparisons, reporting)


def test_without_its_comparison_the_best_baseline_cannot_be_judged(
    leaderboard, comparisons, reporting
):
    rows = [row for row in comparisons if row["reference"] != "ridge"]
    with pytest.raises(DataError, match="not compared with 'ridge'"):
        nodes.judge_ensemble(leaderboard, rows, reporting)
