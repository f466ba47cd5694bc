"""What each model reaches in one world, beside what it could."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from tiktok_virality.demo.senses import sense_of
from tiktok_virality.pipelines.reporting.comparisons import CHALLENGER
from tiktok_virality.pipelines.reporting.evidence import (
    EVERYTHING,
    Coverage,
    SplitScore,
)
from tiktok_virality.pipelines.truth.findings import Covered, Gain, Leak, ModelScore
from tiktok_virality.pipelines.truth.means import mean_interval
from tiktok_virality.pipelines.truth.planted import CEILINGS
from tiktok_virality.schema import DataError

Row = Mapping[str, Any]

LEAST_REACHABLE: Final = 0.05
"""A share of less than this R² would be a share of chance."""

INTERVAL: Final = 0.95

MUST_BEAT: Final = ("constant", "baseline", "modality")
VARIANT: Final = "variant"


def held_out_scores(leaderboard: Sequence[Row], world: str) -> tuple[ModelScore, ...]:
    """Return the score of every model on the test split, in the order of the leaderboard.

    Args:
        leaderboard: Its rows; the main seed comes first for each model.
        world: For the error.

    Raises:
        DataError: The ensemble, or a model that is shown the truth, is missing.
    """
    by_model: dict[str, list[Row]] = {}
    for row in leaderboard:
        if row["split"] == "test":
            by_model.setdefault(str(row["model"]), []).append(row)
    missing = [name for name in (CHALLENGER, *CEILINGS.values()) if name not in by_model]
    if missing:
        raise DataError(
            f"The leaderboard of the world {world!r} lacks {', '.join(missing)} on the test split. "
            f"Run it again: `kedro run --env truth --pipeline truth --tags {world}`."
        )
    ceilings = {str(each): float(by_model[name][0]["r2"]) for each, name in CEILINGS.items()}
    return tuple(_score(rows, ceilings) for rows in by_model.values())


def reachable_r2(scores: Sequence[ModelScore]) -> dict[str, float]:
    """Return the R² of a perfect model of each sense on the test clips."""
    by_name = {score.model: score for score in scores}
    return {str(modality): by_name[name].r2 for modality, name in CEILINGS.items()}


def gains_of_ensemble(comparisons: Sequence[Row]) -> tuple[Gain, ...]:
    """Return what the ensemble gains on every other model of its regime, the least first.

    Args:
        comparisons: Of `compare_models`, the main seed first.
    """
    by_reference: dict[str, list[Row]] = {}
    for row in comparisons:
        by_reference.setdefault(str(row["reference"]), []).append(row)
    gains = [
        Gain(
            reference=name,
            role=rows[0]["role"],
            gain=rows[0]["mse_gain"],
            low=rows[0]["low"],
            high=rows[0]["high"],
            p_adjusted=rows[0]["p_adjusted"],
            outcome=rows[0]["outcome"],
            seeds_above_zero=sum(row["low"] is not None and row["low"] > 0 for row in rows),
            seeds=len(rows),
        )
        for name, rows in by_reference.items()
    ]
    return tuple(sorted(gains, key=lambda gain: gain.gain))


def coverage_of_intervals(coverage: Coverage | None) -> tuple[Covered, ...]:
    """Return how often the intervals in use held the truth of test clips, by level."""
    if coverage is None:
        return ()
    return tuple(
        Covered(level=row.level, coverage=row.coverage, low=row.low, high=row.high)
        for row in coverage.one_per_part()
        if row.method == coverage.method and row.group == EVERYTHING
    )


def leaks_of(split_scores: Sequence[SplitScore]) -> tuple[Leak, ...]:
    """Return what each model of the study of splits scores at random and by creator."""
    return tuple(_leaks(split_scores))


def mean_coverage(worlds: Sequence[Sequence[Covered]]) -> tuple[Covered, ...]:
    """Return the mean over worlds, by level; only where there were intervals.

    Its interval takes each world as one observation. They share clips and folds, but the noise is
    drawn anew for each.
    """
    by_level: dict[float, list[float]] = {}
    for row in (row for rows in worlds for row in rows):
        found = by_level.setdefault(row.level, [])
        found += [] if row.coverage is None else [row.coverage]
    return tuple(_mean_of(level, values) for level, values in sorted(by_level.items()))


def _mean_of(level: float, values: Sequence[float]) -> Covered:
    if not values:
        return Covered(level=level, coverage=None)
    if len(values) < 2:
        return Covered(level=level, coverage=values[0])
    mean, low, high = mean_interval(values)
    return Covered(level=level, coverage=mean, low=max(low, 0), high=min(high, 1))


def _score(rows: Sequence[Row], ceilings: Mapping[str, float]) -> ModelScore:
    main = rows[0]
    values = [float(row["r2"]) for row in rows]
    mean = statistics.fmean(values)
    reachable = ceilings.get(sense_of(main["modality"])) if main["regime"] != "creator" else None
    wanted = ("model", "regime", "role", "modality", "r2", "r2_low", "r2_high", "spearman")
    skill = ("skill_mean", "skill_mean_low", "skill_mean_high")
    return ModelScore(
        **{name: main[name] for name in (*wanted, *skill)},
        r2_mean=mean,
        r2_sd=statistics.stdev(values) if len(values) > 1 else None,
        seeds=len(values),
        reachable=reachable,
        share=_share(main["r2"], reachable),
        share_mean=_share(mean, reachable),
    )


def _share(reached: float, reachable: float | None) -> float | None:
    return None if reachable is None or reachable < LEAST_REACHABLE else reached / reachable


def _leaks(split_scores: Sequence[SplitScore]) -> Iterator[Leak]:
    models = dict.fromkeys((score.model, score.regime) for score in split_scores)
    for model, regime in models:
        reached: dict[str, list[float]] = {"random": [], "group": []}
        for score in split_scores:
            if score.model == model and score.strategy in reached and score.r2 is not None:
                reached[score.strategy].append(score.r2)
        yield Leak(
            model=model,
            regime=regime,
            random=tuple(reached["random"]),
            group=tuple(reached["group"]),
        )
