"""How certain a metric is: intervals by creator, and paired comparisons of models.

Clips of one creator resemble each other, so what is weighed anew are whole creators: weighing clips
one by one would take 100 clips of 5 creators for 100 independent facts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tiktok_virality.evaluation.metrics import (
    METRICS,
    Floats,
    Yardstick,
    as_pair,
    resampled_metrics,
)

LEAST_CLUSTERS: Final = 10
"""With fewer, an interval is too wide to say anything, or too narrow to be true."""

MOST_GROUPS: Final = 400
"""More clusters than that are weighed anew in so many groups: the error is as well known."""

WEIGHT: Final = 0.5
"""Of the cluster that is weighed anew. Without it, a variance that it alone has would be gone."""

WIDEST_CORRELATION: Final = 1.6
"""A wider interval of a correlation, which lies between -1 and 1, says nothing of it."""

CELLS_AT_ONCE: Final = 1_000_000
"""Groups times clips that are worked on together, to bound memory."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a number lies; both ends are NaN where nothing can be said."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


NOTHING_TO_SAY: Final = Interval(low=math.nan, high=math.nan)


@dataclass(frozen=True, kw_only=True)
class Line:
    """A monotone map of a metric to numbers without ends, where its errors are nearly normal."""

    there: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


PLAIN: Final = Line(there=lambda values: values, back=lambda values: values)
LOGARITHM: Final = Line(there=np.log, back=np.exp)
LOGARITHM_OF_REST: Final = Line(
    there=lambda values: np.log(1 - values), back=lambda values: 1 - np.exp(values)
)
FISHER: Final = Line(there=np.arctanh, back=np.tanh)
LOGIT: Final = Line(
    there=lambda values: np.log(values / (1 - values)),
    back=lambda values: 1 / (1 + np.exp(-values)),
)
CORRELATIONS: Final = ("spearman", "pearson", "ordinal_correlation")
LINES: Final[Mapping[str, Line]] = {
    **dict.fromkeys(("mse", "rmse", "mae", "nmse", "mse_views", "mae_views"), LOGARITHM),
    **dict.fromkeys(("r2", "skill_mean", "skill_median"), LOGARITHM_OF_REST),
    **dict.fromkeys(CORRELATIONS, FISHER),
    "macro_f1": LOGIT,
}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A model beside a reference on the same clips.

    Attributes:
        gain: MSE of the reference less MSE of the model: above zero, the model is better.
        gain_interval: Of the gain.
        skill: 1 - MSE of the model / MSE of the reference: the share of the reference's error that
            the model does away with; NaN for a reference without error.
        skill_interval: Of the skill.
    """

    gain: float
    gain_interval: Interval
    skill: float
    skill_interval: Interval


@dataclass(frozen=True, kw_only=True)
class ClusterJackknife:
    r"""Student's intervals whose errors come from weighing one cluster after the other anew.

    With :math:`\theta_g` the metric when cluster g of G has the weight :math:`1 - h`, on the scale
    of its `Line`, the error is
    :math:`\sqrt{\frac{(G - h)^2}{G (G - 1)} \sum_g (\theta_g - \bar\theta)^2 / h^2}`, and the
    interval reaches :math:`t_{G-1}` such errors to each side. h = 1 is the jackknife, h near 0 the
    infinitesimal jackknife (Efron, 1982, "The Jackknife, the Bootstrap and Other Resampling
    Plans"). Half way, hardly less is covered than by the former, and no denominator can vanish, as
    it may without the one creator who differs, or in a resample that draws creators who are alike.
    Errors and the part that a model leaves unexplained are taken as logarithms, correlations as
    Fisher's z. More than `MOST_GROUPS` clusters are weighed in so many random groups (Kott, 2001,
    "The Delete-a-Group Jackknife").

    `benchmarks/metric_intervals.py` counts how often such intervals hold the truth, beside
    bootstraps. With fewer than `LEAST_CLUSTERS` clusters nothing is said.

    Attributes:
        confidence: Share of intervals that should hold the truth.
    """

    confidence: float

    def metric_intervals(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        clusters: ArrayLike,
        yardstick: Yardstick | None = None,
    ) -> dict[str, Interval]:
        """Return an interval for each of the `METRICS`.

        Args:
            y_true: log1p(views), [N].
            y_pred: Predicted log1p(views), [N].
            clusters: What belongs together, such as creators, [N].
            yardstick: Of the training split; without it, nothing is said of skill and classes.

        Raises:
            ValueError: The arrays are empty, differ in length, or hold NaN or infinity.
        """
        truth, predicted = as_pair(y_true, y_pred)
        groups = _groups(clusters, len(truth))
        if groups is None:
            return dict.fromkeys(METRICS, NOTHING_TO_SAY)
        whole = resampled_metrics(truth, predicted, np.ones((1, len(truth))), yardstick)
        count = int(groups.max()) + 1
        at_once = max(1, CELLS_AT_ONCE // len(truth))
        parts = []
        for first in range(0, count, at_once):
            counts = _reweighted(groups, first, min(first + at_once, count))
            parts.append(resampled_metrics(truth, predicted, counts, yardstick))
        found = {}
        for name in METRICS:
            others = np.concatenate([part[name] for part in parts])
            interval = self._interval(float(whole[name][0]), others, LINES[name])
            wide = name in CORRELATIONS and interval.high - interval.low > WIDEST_CORRELATION
            found[name] = NOTHING_TO_SAY if wide else interval
        return found

    def compare(
        self, y_true: ArrayLike, y_pred: ArrayLike, y_reference: ArrayLike, clusters: ArrayLike
    ) -> Comparison:
        """Compare the MSE of a model with that of a reference on the same clips.

        Args:
            y_true: log1p(views), [N].
            y_pred: What the model predicts, [N].
            y_reference: What the reference predicts, [N].
            clusters: What belongs together, [N].

        Raises:
            ValueError: The arrays are empty, differ in length, or hold NaN or infinity.
        """
        truth, predicted = as_pair(y_true, y_pred)
        _, reference = as_pair(truth, y_reference)
        groups = _groups(clusters, len(truth))
        squares = np.stack([(predicted - truth) ** 2, (reference - truth) ** 2], axis=1)  # [N, 2]
        mse, mse_reference = squares.mean(axis=0)
        gain, skill = float(mse_reference - mse), float(_skill(mse, mse_reference))
        if groups is None:
            return Comparison(
                gain=gain, gain_interval=NOTHING_TO_SAY, skill=skill, skill_interval=NOTHING_TO_SAY
            )
        sums = np.stack([np.bincount(groups, weights=column) for column in squares.T])  # [2, G]
        off = 1 - WEIGHT
        weights = len(truth) - off * np.bincount(groups)
        weighed, reference_weighed = (sums.sum(axis=1, keepdims=True) - off * sums) / weights
        return Comparison(
            gain=gain,
            gain_interval=self._interval(gain, reference_weighed - weighed, PLAIN),
            skill=skill,
            skill_interval=self._interval(
                skill, _skill(weighed, reference_weighed), LOGARITHM_OF_REST
            ),
        )

    def _interval(self, value: float, reweighted: Floats, line: Line) -> Interval:
        """Return the interval of a metric from its values with each group weighed anew, [G]."""
        from scipy import stats

        with np.errstate(divide="ignore", invalid="ignore"):
            centre, others = line.there(np.array(value)), line.there(reweighted)
        if not (np.isfinite(centre) and np.isfinite(others).all()):
            return NOTHING_TO_SAY
        groups, off = len(others), 1 - WEIGHT
        squares = float(np.sum((others - others.mean()) ** 2)) / off**2
        error = math.sqrt((groups - off) ** 2 / (groups * (groups - 1)) * squares)
        reach = float(stats.t.ppf((1 + self.confidence) / 2, groups - 1)) * error
        low, high = sorted(line.back(np.array([centre - reach, centre + reach])))
        return Interval(low=float(low), high=float(high))


def _skill(mse: ArrayLike, mse_reference: ArrayLike) -> Floats:
    reference = np.asarray(mse_reference, dtype=np.float64)
    return 1 - np.asarray(mse) / np.where(reference > 0, reference, np.nan)


def _groups(clusters: ArrayLike, size: int) -> NDArray[np.int64] | None:
    """Return the group, from 0, with which each clip is weighed, [N]; `None`: too few clusters."""
    labels = np.asarray(clusters)
    if labels.shape != (size,):
        raise ValueError(f"clusters has the shape {list(labels.shape)} and must have [{size}].")
    names, numbers = np.unique(labels.astype(str), return_inverse=True)
    if len(names) < LEAST_CLUSTERS:
        return None
    if len(names) <= MOST_GROUPS:
        return numbers.astype(np.int64)
    dealt = np.random.default_rng(0).permutation(len(names)) % MOST_GROUPS
    return dealt[numbers].astype(np.int64)


def _reweighted(groups: NDArray[np.int64], first: int, last: int) -> Floats:
    """Return every clip's weight as each of the groups from first to last is weighed, [B, N]."""
    return np.where(groups[None, :] == np.arange(first, last)[:, None], WEIGHT, 1.0)
