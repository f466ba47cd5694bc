"""Intervals for a single clip: calibrated, added to the predictions, checked on the test split."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from typing import Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.conformal import (
    LEVELS,
    METHODS,
    SHOWN_LEVEL,
    ClipIntervals,
    IntervalModel,
    Method,
    PredictedClips,
    SeedIntervals,
    calibrate,
    calibrate_across,
    clips_needed,
    interval_features,
    share_interval,
)
from tiktok_virality.schema import DataError, Split
from tiktok_virality.training.corpus import LabelledClips, ModelInput, together

JUDGED: Final = "ensemble"
TERCILES: Final = ("low", "middle", "high")
OVERALL: Final = "all clips"

logger = logging.getLogger(__name__)


def calibrate_intervals(
    point_predictions: pd.DataFrame,
    divisions: list[ModelInput],
    novelty: pd.DataFrame,
    certainty: CertaintyParameters,
    seed: int,
) -> dict[str, Any]:
    """Calibrate the intervals of the ensemble, for every seed that it was trained under.

    Where one split is held out, the validation split teaches how the width depends on the clip,
    and the calibration split, which nothing else has seen, decides how wide the intervals are.
    Where every clip is tested, what the models of the folds said of their own clips does both: all
    of it for the served model, and what was said in the other folds for the clips of a fold.

    Args:
        point_predictions: ``video_id``, ``split``, ``model``, ``seed``, ``y_true``, ``y_pred``.
        divisions: The clips.
        novelty: ``video_id`` and ``distance``.
        certainty: Whose intervals are shown.
        seed: The main seed.

    Returns:
        An `IntervalModel` as JSON.

    Raises:
        DataError: The ensemble, or a modality model, lacks predictions.
    """
    by_seed = tuple(
        intervals
        for each in _seeds(point_predictions, seed)
        for intervals in _calibrated(point_predictions, divisions, novelty, each)
    )
    model = IntervalModel(model=JUDGED, method=certainty.method, main_seed=seed, by_seed=by_seed)
    _say_what_is_missing(model.intervals())
    return model.model_dump(mode="json")


def _calibrated(
    point_predictions: pd.DataFrame, divisions: list[ModelInput], novelty: pd.DataFrame, seed: int
) -> Iterator[SeedIntervals]:
    """Yield the intervals of the served model, then of those that tested the folds."""
    if len(divisions) == 1:
        fitting, calibration = (
            _predicted(point_predictions, divisions[0], novelty, split, seed)
            for split in ("validation", "calibration")
        )
        yield SeedIntervals(seed=seed, intervals=calibrate(fitting, calibration))
        return
    tested = [
        _predicted(point_predictions, division, novelty, "test", seed) for division in divisions
    ]
    yield SeedIntervals(seed=seed, intervals=calibrate_across(tested))
    for fold in range(len(tested)):
        others = [*tested[:fold], *tested[fold + 1 :]]
        yield SeedIntervals(seed=seed, fold=fold, intervals=calibrate_across(others))


def add_intervals(
    point_predictions: pd.DataFrame,
    interval_model: dict[str, Any],
    divisions: list[ModelInput],
    novelty: pd.DataFrame,
) -> pd.DataFrame:
    """Add the 80 % interval of the ensemble under the main seed.

    Returns:
        The predictions with ``lower`` and ``upper``, of test clips alone: missing for other models,
        other seeds and other splits, which made the intervals or taught the model.
    """
    model = IntervalModel.model_validate(interval_model)
    predictions = point_predictions.assign(lower=np.nan, upper=np.nan)
    ours = (
        (predictions["model"] == model.model)
        & (predictions["seed"] == model.main_seed)
        & (predictions["split"] == "test")
    )
    for fold, division in enumerate(divisions):
        clips = _predicted(point_predictions, division, novelty, "test", model.main_seed)
        intervals = model.intervals(fold=fold if len(divisions) > 1 else None)
        lower, upper = intervals.apply(clips.features, SHOWN_LEVEL, model.method)
        ends = pd.DataFrame(
            {"lower": lower, "upper": upper}, index=pd.Index(division.splits["test"].ids)
        )
        rows = ours & predictions["video_id"].isin(ends.index)
        ids = predictions.loc[rows, "video_id"]
        predictions.loc[rows, ["lower", "upper"]] = ends.loc[ids].to_numpy()
    return predictions


def measure_coverage(
    point_predictions: pd.DataFrame,
    interval_model: dict[str, Any],
    divisions: list[ModelInput],
    novelty: pd.DataFrame,
) -> dict[str, Any]:
    """Count how often the intervals hold the truth of test clips.

    Returns:
        ``method`` and ``level`` of the shown intervals, ``calibration_clips`` of the served model,
        and ``rows``:
        ``seed`` (null: the mean over all seeds), ``method``, ``level``, ``group`` and ``value``
        (a part of the test clips, such as duration and low), ``n`` clips of ``creators``
        creators, ``coverage`` with its 95 % interval ``low`` and ``high``, and ``mean_width``.
        Null stands for a level that too few calibration clips can give.
    """
    model = IntervalModel.model_validate(interval_model)
    test = reduce(together, (division.splits["test"] for division in divisions))
    found = {
        seed: [_predicted(point_predictions, each, novelty, "test", seed) for each in divisions]
        for seed in dict.fromkeys(each.seed for each in model.by_seed)
    }
    truth = np.concatenate([each.truth for each in found[model.main_seed]])
    groups = _groups(test, truth, novelty)
    return {
        "method": model.method,
        "level": SHOWN_LEVEL,
        "calibration_clips": model.intervals().calibration_clips,
        "rows": [
            row
            for method in METHODS
            for level in LEVELS
            for row in _coverage_rows(model, found, test.groups, groups, method, level)
        ],
    }


def _coverage_rows(
    model: IntervalModel,
    found: Mapping[int, Sequence[PredictedClips]],
    creators: np.ndarray,
    groups: dict[tuple[str, str], np.ndarray],
    method: Method,
    level: float,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one method and level: of every seed, then of the mean over seeds."""
    held: dict[int | None, np.ndarray] = {}
    widths: dict[int | None, np.ndarray] = {}
    for seed, parts in found.items():
        ends = [
            model.intervals(seed, fold if len(parts) > 1 else None).apply(
                clips.features, level, method
            )
            for fold, clips in enumerate(parts)
        ]
        lower, upper = (np.concatenate(each) for each in zip(*ends, strict=True))
        truth = np.concatenate([clips.truth for clips in parts])
        held[seed] = np.where(np.isnan(lower), np.nan, (lower <= truth) & (truth <= upper))
        widths[seed] = upper - lower
    held[None] = np.mean(list(held.values()), axis=0)
    widths[None] = np.mean(list(widths.values()), axis=0)
    for each, held_by_clip in held.items():
        for (group, value), chosen in groups.items():
            yield {
                "seed": each,
                "method": method,
                "level": level,
                "group": group,
                "value": value,
                "n": int(chosen.sum()),
                "creators": len(np.unique(creators[chosen].astype(str))),
                **_coverage(held_by_clip[chosen], widths[each][chosen], creators[chosen]),
            }


def _coverage(inside: np.ndarray, width: np.ndarray, creators: np.ndarray) -> dict[str, Any]:
    if np.isnan(inside).any():
        return dict.fromkeys(("coverage", "low", "high", "mean_width"))
    share, interval = share_interval(inside, creators)
    return {
        "coverage": share,
        "low": interval.low,
        "high": interval.high,
        "mean_width": float(width.mean()),
    }


def _groups(
    clips: LabelledClips, truth: np.ndarray, novelty: pd.DataFrame
) -> dict[tuple[str, str], np.ndarray]:
    """Return which clips are in which part, [N] each; a division with one part is left out."""
    creators = pd.Series(clips.groups.astype(str))
    clips_of_creator = creators.groupby(creators).transform("size")
    many = clips_of_creator > creators.value_counts().median()
    flagged = novelty.set_index("video_id")["flagged"].loc[list(clips.ids)].to_numpy()
    divisions = {
        "clips of the creator": np.where(many, "many", "few"),
        "mean of the creator": creators.map(_terciles(pd.Series(truth).groupby(creators).mean())),
        "duration": _terciles(pd.Series(clips.log_duration)),
        **{name: np.where(there, "with", "without") for name, there in _present(clips).items()},
        "flag": np.where(flagged, "unlike the training clips", "like them"),
    }
    groups = {(OVERALL, OVERALL): np.ones(len(clips), dtype=bool)}
    for name, labels in divisions.items():
        values = np.asarray(labels, dtype=str)
        parts = sorted(set(values), key=_in_order)
        if len(parts) > 1:
            groups |= {(name, part): values == part for part in parts}
    return groups


def _in_order(part: str) -> tuple[int, str]:
    return (TERCILES.index(part) if part in TERCILES else -1, part)


def _terciles(values: pd.Series) -> pd.Series:
    """Return to which third each value belongs; ties go apart in the order of rows."""
    shares = values.rank(method="first") / len(values)
    return shares.map(lambda share: TERCILES[math.ceil(share * len(TERCILES)) - 1])


def _seeds(point_predictions: pd.DataFrame, main: int) -> list[int]:
    """Return the seeds that the ensemble was trained under, the main one first."""
    rows = point_predictions[point_predictions["model"] == JUDGED]
    seeds = sorted({int(seed) for seed in rows["seed"]})
    if main not in seeds:
        raise DataError(
            f"The {JUDGED} has no predictions under the main seed {main}; it has under "
            f"{', '.join(map(str, seeds)) or 'none'}. Run the modeling pipeline again."
        )
    return [main, *(seed for seed in seeds if seed != main)]


def _predicted(
    point_predictions: pd.DataFrame,
    model_input: ModelInput,
    novelty: pd.DataFrame,
    split: Split,
    seed: int,
) -> PredictedClips:
    """Return the clips of a split in the order of the model input, with the `FEATURES`."""
    clips = model_input.splits[split]
    ids = list(clips.ids)
    rows = point_predictions[
        (point_predictions["split"] == split) & (point_predictions["seed"] == seed)
    ]
    judged = _of_model(rows, JUDGED, ids)
    said = np.stack([_of_model(rows, name, ids)["y_pred"] for name in model_input.modalities])
    present = _present(clips)
    there = np.stack(
        [present.get(name, np.zeros(len(ids), bool)) for name in model_input.modalities]
    )
    distance = novelty.set_index("video_id")["distance"].reindex(ids).to_numpy(dtype=np.float64)
    return PredictedClips(
        features=interval_features(
            judged["y_pred"].to_numpy(dtype=np.float64),
            log_duration=clips.log_duration,
            said=np.where(there, said, np.nan),
            distances=distance,
        ),
        truth=judged["y_true"].to_numpy(dtype=np.float64),
    )


def _present(clips: LabelledClips) -> dict[str, np.ndarray]:
    """Return which clips have a modality, by each that any of them has, [N]."""
    names = dict.fromkeys(name for clip in clips.tokens for name in clip.tokens)
    return {name: np.array([name in clip.tokens for clip in clips.tokens]) for name in names}


def _of_model(rows: pd.DataFrame, model: str, ids: list[str]) -> pd.DataFrame:
    table = rows[rows["model"] == model].set_index("video_id")
    missing = [video_id for video_id in ids if video_id not in table.index]
    if missing:
        raise DataError(
            f"The model {model!r} has no prediction for {len(missing)} of {len(ids)} clips, such "
            f"as {missing[0]!r}. Run the modeling pipeline again."
        )
    return table.loc[ids]


def _say_what_is_missing(intervals: ClipIntervals) -> None:
    for each in intervals.levels:
        if each.radius is None:
            logger.warning(
                "There are no intervals of %.0f %%: they need %d calibration clips, and there are "
                "%d. Add videos, or enlarge ingestion.splits.calibration.",
                100 * each.level,
                clips_needed(each.level),
                intervals.calibration_clips,
            )
