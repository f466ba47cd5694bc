"""Rows of the leaderboard from predictions, once those are known to fit the present splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np
import pandas as pd

from tiktok_virality.evaluation.cross_fitting import divisions_of
from tiktok_virality.evaluation.intervals import NOTHING_TO_SAY, ClusterJackknife, Interval
from tiktok_virality.evaluation.metrics import METRICS, Yardstick, regression_metrics
from tiktok_virality.evaluation.targets import Target
from tiktok_virality.models.roles import Regime, role_of
from tiktok_virality.schema import DataError

SPLITS_BY_WORTH: Final = ("test", "calibration", "validation", "train")
REGIMES: Final[tuple[str, ...]] = get_args(Regime)
COLUMNS: Final = (
    *("video_id", "split", "model", "modality", "regime"),
    *("seed", "y_true", "y_pred", "lower", "upper"),
)
AGAIN: Final = "Run the modeling pipeline again: `kedro run --pipeline modeling`."


@dataclass(frozen=True, kw_only=True)
class Ruler:
    """How predictions are measured.

    Attributes:
        yardstick: What the metrics must know of the training split.
        clusters: What belongs together, by video.
        jackknife: Of the intervals.
    """

    yardstick: Yardstick
    clusters: Mapping[str, str]
    jackknife: ClusterJackknife

    def row(self, part: pd.DataFrame) -> dict[str, Any]:
        """Measure one model with one seed on one split.

        Raises:
            DataError: A prediction is no number, or the model is unknown.
        """
        first = part.iloc[0]
        model, split = str(first["model"]), str(first["split"])
        try:
            metrics = regression_metrics(part["y_true"], part["y_pred"], self.yardstick)
        except ValueError as error:
            raise DataError(
                f"Predictions of {model!r} on the {split} split: {error} {AGAIN}"
            ) from None
        row: dict[str, Any] = {
            "model": model,
            "modality": first["modality"],
            "regime": first["regime"],
            "role": _role(model),
            "seed": int(first["seed"]),
            "split": split,
            "n": metrics["n"],
        }
        intervals = self._intervals(part, split)
        for name in METRICS:
            row[name] = metrics[name]
            row[f"{name}_low"], row[f"{name}_high"] = intervals[name].low, intervals[name].high
        return row

    def _intervals(self, part: pd.DataFrame, split: str) -> dict[str, Interval]:
        if split == "train":
            return dict.fromkeys(METRICS, NOTHING_TO_SAY)
        groups = [self.clusters[video_id] for video_id in part["video_id"]]
        return self.jackknife.metric_intervals(
            part["y_true"], part["y_pred"], groups, self.yardstick
        )


def yardstick_of(predictions: pd.DataFrame, target: Target) -> Yardstick:
    """Return what metrics must know of the training split, from the truth in the predictions.

    Raises:
        DataError: No clip of the training split was predicted, or the truth of one is no number.
    """
    train = predictions[predictions["split"] == "train"].drop_duplicates("video_id")
    try:
        return target.yardstick(train["y_true"])
    except ValueError as error:
        raise DataError(
            f"The truth of the training split in predictions: {error} {AGAIN}"
        ) from None


def in_order(rows: Sequence[dict[str, Any]], main_seed: int) -> list[dict[str, Any]]:
    """Order rows by split, regime and error, the seeds of a model together, the main seed first.

    Raises:
        DataError: A model has no row of the main seed on some split.
    """
    error = {(row["split"], row["model"]): row["mse"] for row in rows if row["seed"] == main_seed}
    for row in rows:
        if (row["split"], row["model"]) not in error:
            raise DataError(
                f"{row['model']!r} has predictions with the seed {row['seed']} on the "
                f"{row['split']} split, and none with the seed {main_seed} of this run. {AGAIN}"
            )
    return sorted(
        rows,
        key=lambda row: (
            SPLITS_BY_WORTH.index(row["split"]),
            REGIMES.index(row["regime"]),
            error[row["split"], row["model"]],
            row["model"],
            row["seed"] != main_seed,
            row["seed"],
        ),
    )


def check_predictions(predictions: pd.DataFrame, splits: pd.DataFrame) -> None:
    """Refuse predictions that cannot be measured.

    Args:
        predictions: One row per video, model and seed.
        splits: ``video_id`` and ``split``, as they are now.

    Raises:
        DataError: A column is missing, a regime is unknown, a clip is predicted twice in one split,
            or the predictions were made with other splits.
    """
    missing = [name for name in COLUMNS if name not in predictions]
    if missing:
        raise DataError(
            f"The predictions lack the column{'s' if len(missing) > 1 else ''} "
            f"{', '.join(missing)}: another version has made them. {AGAIN}"
        )
    unknown = set(predictions["regime"]) - set(REGIMES)
    if unknown:
        raise DataError(
            f"The predictions name the regime {min(map(str, unknown))!r}; there are "
            f"{', '.join(REGIMES)}. {AGAIN}"
        )
    twice = predictions[predictions.duplicated(["video_id", "split", "model", "seed"])]
    if len(twice):
        first = twice.iloc[0]
        raise DataError(
            f"{first['model']!r} has more than one prediction of {first['video_id']!r} with the "
            f"seed {first['seed']}. {AGAIN}"
        )
    _check_same_splits(predictions, splits)


def _check_same_splits(predictions: pd.DataFrame, splits: pd.DataFrame) -> None:
    current = {
        place
        for division in divisions_of(splits)
        for place in division[["video_id", "split"]].itertuples(index=False, name=None)
    }
    used = predictions[["video_id", "split"]].drop_duplicates().itertuples(index=False, name=None)
    moved = [video_id for video_id, split in used if (video_id, split) not in current]
    if moved:
        raise DataError(
            f"The predictions were made with other splits than the present ones: {len(moved)} "
            f"clips have moved, such as {moved[0]!r}. {AGAIN}"
        )


def of_main_seed(predictions: pd.DataFrame, main_seed: int, split: str) -> pd.DataFrame:
    """Return the rows of one split that verdict and figures speak of."""
    chosen = np.logical_and(predictions["seed"] == main_seed, predictions["split"] == split)
    return predictions[chosen]


def _role(model: str) -> str:
    try:
        return role_of(model)
    except KeyError as error:
        raise DataError(f"The predictions hold an unknown model. {error.args[0]} {AGAIN}") from None
