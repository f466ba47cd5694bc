"""Whether the ensemble is better than what it must beat, in numbers and in sentences."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiktok_virality.evaluation.intervals import LEAST_CLUSTERS
from tiktok_virality.evaluation.significance import least_p_value
from tiktok_virality.pipelines.reporting.comparisons import CHALLENGER, best_baseline
from tiktok_virality.pipelines.reporting.wording import label, number, percent, plural, probability
from tiktok_virality.schema import DataError

Row = Mapping[str, Any]

CONSTANT: Final = "training_median"
RELATIONS: Final = {
    "better": "better than",
    "worse": "worse than",
    "not distinguishable": "not distinguishable from",
}


def reach_verdict(
    leaderboard: Sequence[Row], comparisons: Sequence[Row], confidence: float
) -> dict[str, Any]:
    """Say how the ensemble compares with the baseline that validation calls the best.

    Args:
        leaderboard: Its rows; those of the main seed come first for each model.
        comparisons: Rows of `PairedTests.compare_all`, the main seed first.
        confidence: Of the intervals.

    Returns:
        ``headline`` (the outcome alone), ``sentence``, ``constant_sentence``, ``test_sentence``,
        ``seed_sentence``, ``outcome`` (better, worse or not distinguishable), ``baseline``, the
        numbers behind them, ``seeds``, and under ``versus_constant`` the same beside the training
        median.

    Raises:
        DataError: There is no baseline, or no comparison with it.
    """
    best = best_baseline(leaderboard)
    against_best = _comparisons_with(comparisons, str(best["model"]))
    main = against_best[0]
    of_main_seed = [row for row in comparisons if row["seed"] == main["seed"]]
    against_constant = _comparisons_with(of_main_seed, CONSTANT)[0]
    seeds = _over_seeds(against_best)
    return {
        "headline": _headline(main),
        "sentence": _sentence(main, confidence),
        "test_sentence": _test_sentence(main, confidence),
        "seed_sentence": _seed_sentence(main, seeds),
        "constant_sentence": _constant_sentence(against_constant, confidence),
        "model": CHALLENGER,
        "split": "test",
        "confidence": confidence,
        "baseline_validation_mse": best["mse"],
        "clips": main["n"],
        "creators": main["clusters"],
        **_numbers(main),
        "seeds": seeds,
        "versus_constant": _numbers(against_constant),
    }


def _comparisons_with(comparisons: Sequence[Row], reference: str) -> list[Row]:
    found = [row for row in comparisons if row["reference"] == reference]
    if not found:
        raise DataError(
            f"The ensemble was not compared with {reference!r} on the test split. Run the "
            "modeling and the reporting pipeline again."
        )
    return found


def _numbers(row: Row) -> dict[str, Any]:
    return {
        "baseline": row["reference"],
        "outcome": row["outcome"],
        "mse_gain": row["mse_gain"],
        "mse_gain_low": row["low"],
        "mse_gain_high": row["high"],
        **{name: row[name] for name in ("skill", "skill_low", "skill_high")},
        **{name: row[name] for name in ("p_value", "p_adjusted", "significant")},
    }


def _over_seeds(rows: Sequence[Row]) -> dict[str, Any]:
    """Return in how many seeds the outcome is that of the main seed, and the spread of the skill.

    Args:
        rows: Comparisons with one baseline, the main seed first.
    """
    skills = [row["skill"] for row in rows if row["skill"] is not None]
    return {
        "count": len(rows),
        "agreeing": sum(row["outcome"] == rows[0]["outcome"] for row in rows),
        "skill_least": min(skills, default=None),
        "skill_most": max(skills, default=None),
        "skill_sd": statistics.stdev(skills) if len(skills) > 1 else None,
        "rows": [
            {name: row[name] for name in ("seed", "outcome", "skill", "mse_gain", "p_adjusted")}
            for row in rows
        ],
    }


def _too_few(row: Row) -> bool:
    """Return whether creators are too few for an interval, and the test cannot do without."""
    return row["clusters"] < LEAST_CLUSTERS and row["outcome"] == "not distinguishable"


def _headline(row: Row) -> str:
    baseline = f"the best baseline ({label(row['reference'])})"
    if _too_few(row):
        return f"Too few creators to say whether the ensemble is better than {baseline}"
    return f"The ensemble is {RELATIONS[row['outcome']]} {baseline}"


def _sentence(row: Row, confidence: float) -> str:
    clips, creators = plural(row["n"], "clip"), plural(row["clusters"], "creator")
    baseline = f"the best baseline ({label(row['reference'])})"
    where = f"On {clips} by {creators} that no model has seen"
    if _too_few(row):
        return (
            f"{where}, nothing can be said of whether the ensemble is better than {baseline}"
            f"{_measured(row)}: an interval needs {LEAST_CLUSTERS} creators, and the paired test "
            "cannot tell these from chance."
        )
    return f"{where}, the ensemble is {_beside(row, baseline, confidence)}."


def _measured(row: Row) -> str:
    """Return the difference in brackets; nothing beside a reference that makes no error."""
    if row["skill"] is None:
        return ""
    return f" (its squared error is {_change(row['skill'])} here)"


def _constant_sentence(row: Row, confidence: float) -> str:
    median = "always saying the training median"
    if _too_few(row):
        return f"Nor of whether it is better than {median}{_measured(row)}."
    return f"It is {_beside(row, median, confidence)}."


def _beside(row: Row, reference: str, confidence: float) -> str:
    relation = f"{RELATIONS[row['outcome']]} {reference}"
    if row["skill"] is None:
        return f"{relation}, which makes no error here"
    if row["outcome"] == "not distinguishable":
        measured = f"its squared error is {_change(row['skill'])}"
        return f"{relation}: {measured}{_interval(row, confidence)}"
    amount = percent(row["skill"])
    return f"{relation} by {amount} of its squared error{_interval(row, confidence)}"


def _interval(row: Row, confidence: float) -> str:
    low, high = row["skill_low"], row["skill_high"]
    if low is None:
        return ""
    if row["outcome"] == "not distinguishable":
        ends = f"from {_change(low)} to {_change(high)}"
    else:
        least, most = sorted((low, high), key=abs)
        ends = f"{percent(least)} to {percent(most)}"
    return f" ({percent(confidence)} interval: {ends})"


def _change(skill: float) -> str:
    return f"{percent(skill)} {'lower' if skill >= 0 else 'higher'}"


def _test_sentence(row: Row, confidence: float) -> str:
    level = 1 - confidence
    least = least_p_value(row["clusters"])
    if least > level:
        return (
            f"{plural(row['clusters'], 'test creator')} can never be enough to be sure: no p-value "
            f"can be below {probability(least)}."
        )
    return (
        f"A paired test by creator gives p\u00a0{_equals(row['p_value'])}; “better” and “worse” "
        f"need p\u00a0≤\u00a0{probability(level)} and an interval without zero. It is the one "
        "question that was fixed before any test clip was looked at, so that no correction for "
        "others is due."
    )


def _equals(p_value: float) -> str:
    written = probability(p_value)
    return written.replace("<", "<\u00a0") if written.startswith("<") else f"=\u00a0{written}"


def _seed_sentence(row: Row, seeds: Mapping[str, Any]) -> str:
    if seeds["count"] < 2:
        return f"All of this is of one training, with the seed {row['seed']}."
    relation = f"{RELATIONS[row['outcome']]} the best baseline"
    said = f"Trained with {seeds['count']} seeds, the ensemble is {relation} "
    said += (
        "in all of them"
        if seeds["agreeing"] == seeds["count"]
        else f"in {seeds['agreeing']} of them"
    )
    if seeds["skill_sd"] is None:
        return f"{said}."
    return (
        f"{said}: its squared error is between {_change(seeds['skill_least'])} and "
        f"{_change(seeds['skill_most'])} (standard deviation {number(100 * seeds['skill_sd'], 1)} "
        "percentage points)."
    )
