"""Whether the ensemble is better than what it must beat, in numbers and in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from tiktok_virality.evaluation.intervals import ClusterBootstrap, Comparison
from tiktok_virality.pipelines.reporting.wording import label, percent, plural
from tiktok_virality.schema import DataError

CHALLENGER: Final = "ensemble"
CONSTANT: Final = "training_median"
RELATIONS: Final = {
    "better": "better than",
    "worse": "worse than",
    "not distinguishable": "not distinguishable from",
}


def reach_verdict(
    predictions: pd.DataFrame,
    baselines: Mapping[str, float],
    clusters: Mapping[str, str],
    bootstrap: ClusterBootstrap,
) -> dict[str, Any]:
    """Compare the ensemble on the test split with the baseline that validation calls the best.

    Args:
        predictions: ``video_id``, ``split``, ``model``, ``y_true``, ``y_pred``.
        baselines: MSE on the validation split of every baseline.
        clusters: Creator of each video.
        bootstrap: Of the intervals.

    Returns:
        ``sentence``, ``outcome`` (better, worse or not distinguishable), ``baseline``, the numbers
        behind them, and under ``versus_constant`` the same beside the training median.

    Raises:
        DataError: There is no baseline, or no prediction of the ensemble.
    """
    test = predictions[predictions["split"] == "test"]
    by_model = {str(name): part.set_index("video_id") for name, part in test.groupby("model")}
    missing = {CHALLENGER, CONSTANT} - set(by_model)
    if missing or not baselines:
        raise DataError(
            f"No test predictions of {', '.join(sorted(missing)) or 'any baseline'}: there is "
            "nothing to compare. Run the modeling pipeline again."
        )
    challenger = by_model[CHALLENGER]
    groups = [clusters[video_id] for video_id in challenger.index]
    best = min(baselines, key=lambda name: baselines[name])

    def beside(reference: str) -> dict[str, Any]:
        predicted = by_model[reference].loc[challenger.index, "y_pred"]
        compared = bootstrap.compare(challenger["y_true"], challenger["y_pred"], predicted, groups)
        return _numbers(reference, compared)

    against_best, against_constant = beside(best), beside(CONSTANT)
    held_out = {"clips": len(challenger), "creators": len(set(groups))}
    return {
        "sentence": _sentence(against_best, held_out, bootstrap.confidence),
        "constant_sentence": _constant_sentence(against_constant, bootstrap.confidence),
        "model": CHALLENGER,
        "split": "test",
        "confidence": bootstrap.confidence,
        "baseline_validation_mse": baselines[best],
        **held_out,
        **against_best,
        "versus_constant": against_constant,
    }


def _numbers(reference: str, compared: Comparison) -> dict[str, Any]:
    gain, skill = compared.gain_interval, compared.skill_interval
    return {
        "baseline": reference,
        "outcome": _outcome(compared),
        "mse_gain": compared.gain,
        "mse_gain_low": gain.low,
        "mse_gain_high": gain.high,
        "skill": compared.skill,
        "skill_low": skill.low,
        "skill_high": skill.high,
    }


def _outcome(compared: Comparison) -> str:
    if compared.gain_interval.low > 0:
        return "better"
    if compared.gain_interval.high < 0:
        return "worse"
    return "not distinguishable"


def _sentence(numbers: Mapping[str, Any], held_out: Mapping[str, int], confidence: float) -> str:
    clips, creators = (plural(held_out[f"{noun}s"], noun) for noun in ("clip", "creator"))
    return (
        f"On {clips} by {creators} that no model has seen, the ensemble is "
        f"{RELATIONS[numbers['outcome']]} the best baseline ({label(numbers['baseline'])}): "
        f"{_measured(numbers, confidence)}."
    )


def _constant_sentence(numbers: Mapping[str, Any], confidence: float) -> str:
    return (
        f"It is {RELATIONS[numbers['outcome']]} always saying the training median: "
        f"{_measured(numbers, confidence)}."
    )


def _measured(numbers: Mapping[str, Any], confidence: float) -> str:
    if pd.isna(numbers["skill"]):
        return "the baseline makes no error here"
    return f"its squared error is {_change(numbers['skill'])} ({_interval(numbers, confidence)})"


def _interval(numbers: Mapping[str, Any], confidence: float) -> str:
    if pd.isna(numbers["skill_low"]):
        return "too few creators for an interval"
    best, worst = _change(numbers["skill_high"]), _change(numbers["skill_low"])
    return f"{percent(confidence)} interval: from {worst} to {best}"


def _change(skill: float) -> str:
    return f"{percent(skill)} {'lower' if skill >= 0 else 'higher'}"
