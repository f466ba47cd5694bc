"""How much a score owes to the way in which the clips were divided.

The same clips are divided in every way there is, and quick models are fitted and scored under each.
What a random split adds to a group split is what knowing the creators adds. Nothing is chosen by
it: it is read, and only read, beside the results.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.evaluation.metrics import Yardstick, regression_metrics
from tiktok_virality.evaluation.splits import KEPT_TOGETHER, assign_splits
from tiktok_virality.media.limits import SplitParameters, SplitStrategy
from tiktok_virality.models.baselines import PooledClips, fit_baseline
from tiktok_virality.models.roles import regime_of
from tiktok_virality.schema import DataError

logger = logging.getLogger(__name__)

STRATEGIES: Final[tuple[SplitStrategy, ...]] = (
    "random",
    "group",
    "chronological",
    "group_chronological",
)
DRAWN_ONCE: Final[frozenset[SplitStrategy]] = frozenset({"chronological"})
"""Time leaves nothing to draw, so another seed would give the same split."""


@dataclass(frozen=True, kw_only=True)
class StudiedClips:
    """All clips, in one order.

    Attributes:
        manifest: What splits are made by: ``video_id``, ``creator_id``, ``duplicate_group`` and
            ``posted_at``, [N].
        features: What the models know of each.
        truth: What they predict, [N].
        groups: Creator of each, [N].
    """

    manifest: pd.DataFrame
    features: PooledClips
    truth: np.ndarray
    groups: np.ndarray


def compare_splits(
    clips: StudiedClips,
    division: SplitParameters,
    models: Sequence[str],
    redraws: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Fit models on train and score them on test, under every strategy and several draws of it.

    Folds that choose a setting of a model divide the training split as the strategy divides the
    clips: who splits at random would fold at random, too.

    Args:
        clips: What to divide.
        division: The shares; its strategy is not asked.
        models: Names of baselines.
        redraws: How often to divide anew where chance has a say.
        seed: Of the first draw and of the models; the next draw takes the next.

    Returns:
        A row per strategy, draw and model: ``strategy``, ``model``, ``regime``, ``seed`` (of the
        draw), ``n_test``, ``r2``, ``spearman``, ``mse`` and ``skill`` over the training mean. Null
        stands for what does not exist. A strategy that the clips do not allow has no rows.
    """
    rows: list[dict[str, Any]] = []
    for strategy in STRATEGIES:
        chosen = division.model_copy(update={"strategy": strategy})
        draws = 1 if strategy in DRAWN_ONCE else redraws
        try:
            for draw in range(seed, seed + draws):
                splits = assign_splits(clips.manifest, chosen, draw)
                rows += [
                    {"strategy": strategy, "seed": draw, **row}
                    for row in _scores(clips, splits, models, _folded_by(clips, strategy), seed)
                ]
        except DataError as error:
            logger.info("The study of splits leaves out %s: %s", strategy, error)
    return rows


def _scores(
    clips: StudiedClips,
    splits: pd.DataFrame,
    models: Sequence[str],
    groups: np.ndarray,
    seed: int,
) -> Iterator[dict[str, Any]]:
    placed = clips.manifest["video_id"].map(dict(splits[["video_id", "split"]].to_numpy()))
    train, test = (np.flatnonzero(placed == name) for name in ("train", "test"))
    yardstick = Yardstick.of(clips.truth[train])
    for name in models:
        fitted = fit_baseline(
            name, clips.features.choose(train), clips.truth[train], groups[train], seed
        )
        predicted = fitted.predict(clips.features.choose(test))
        metrics = regression_metrics(clips.truth[test], predicted, yardstick)
        yield {
            "model": name,
            "regime": regime_of(name),
            "n_test": len(test),
            **{key: _or_null(metrics[key]) for key in ("r2", "spearman", "mse")},
            "skill": _or_null(metrics["skill_mean"]),
        }


def _folded_by(clips: StudiedClips, strategy: SplitStrategy) -> np.ndarray:
    """Return what folds of the training split do not divide, [N]."""
    if "creator_id" in KEPT_TOGETHER[strategy]:
        return clips.groups
    return clips.manifest["duplicate_group"].to_numpy(dtype=object)


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None
