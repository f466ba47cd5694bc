"""Rows of the leaderboard as tables: one table for models that may know the same, never more.

Everything here is a function of rows, of one run or of several.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from tiktok_virality.evaluation.repeats import seed_deviations
from tiktok_virality.models.roles import Regime
from tiktok_virality.pipelines.reporting.wording import REGIMES

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RegimeTable:
    """The models that may know the same, on one split.

    Attributes:
        regime: What they may know.
        title: The same in words.
        rows: One per model, of its main seed, with ``<metric>_seed_sd`` beside every metric: the
            standard deviation over the seeds, ``None`` for a model of one seed.
        seeds: How many seeds the model with most of them has.
    """

    regime: str
    title: str
    rows: Sequence[Row]
    seeds: int


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of numbers.

    Attributes:
        metric: Key of the rows; ``factor`` is what the MAE of logarithms means for counts.
        heading: What stands on top.
        decimals: Of the numbers.
    """

    metric: str
    heading: str
    decimals: int = 2


def score_columns(*, counts: bool, views: bool) -> list[Column]:
    """Return what the leaderboard shows first.

    Args:
        counts: Whether predictions are logarithms of counts, and not classes.
        views: Whether those counts are views.
    """
    columns = [
        Column(metric="mse", heading="MSE"),
        Column(metric="r2", heading="R²"),
        Column(metric="skill_mean", heading="skill"),
        Column(metric="spearman", heading="Spearman"),
        Column(metric="mae", heading="MAE"),
    ]
    if counts:
        columns.append(Column(metric="factor", heading="off by", decimals=1))
    if views:
        columns.append(Column(metric="mae_views", heading="MAE, K views", decimals=1))
    return columns


def further_columns(*, views: bool) -> list[Column]:
    """Return the measures that stand in a table of their own.

    Args:
        views: Whether predictions are logarithms of views.
    """
    columns = [
        Column(metric="rmse", heading="RMSE"),
        Column(metric="nmse", heading="nMSE"),
        Column(metric="skill_median", heading="skill on the median"),
        Column(metric="pearson", heading="Pearson"),
    ]
    if views:
        columns.append(Column(metric="mse_views", heading="MSE, (K views)²", decimals=0))
    return columns


CLASS_COLUMNS: Final = (
    Column(metric="macro_f1", heading="macro F1"),
    Column(metric="ordinal_correlation", heading="ordinal correlation"),
)


def regime_tables(leaderboard: Sequence[Row], split: str) -> list[RegimeTable]:
    """Return a table for each regime that has rows on a split, content first."""
    tables = []
    for regime in get_args(Regime):
        mine = [row for row in leaderboard if (row["split"], row["regime"]) == (split, regime)]
        by_model = _by_model(mine)
        if by_model:
            tables.append(
                RegimeTable(
                    regime=regime,
                    title=REGIMES[regime],
                    rows=[{**rows[0], **seed_deviations(rows)} for rows in by_model.values()],
                    seeds=max(len(rows) for rows in by_model.values()),
                )
            )
    return tables


def main_rows(leaderboard: Sequence[Row], split: str) -> list[Row]:
    """Return the row of the main seed of every model on a split, in the order of the rows."""
    mine = [row for row in leaderboard if row["split"] == split]
    return [rows[0] for rows in _by_model(mine).values()]


def _by_model(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each model; the main seed stays first."""
    by_model: dict[str, list[Row]] = {}
    for row in rows:
        by_model.setdefault(str(row["model"]), []).append(row)
    return by_model
