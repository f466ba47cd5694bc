"""How certain a metric is: bootstrap intervals over creators, and paired comparisons of models.

Clips of one creator resemble each other, so resamples draw whole creators (the cluster bootstrap):
drawing clips one by one would take 100 clips of 5 creators for 100 independent facts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
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

CELLS_AT_ONCE: Final = 1_000_000
"""Resamples times clips that are worked on together, to bound memory."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """Where a number lies; both ends are NaN where nothing can be said."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


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
class ClusterBootstrap:
    r"""Intervals from resampling whole clusters with replacement.

    The ends are percentiles, set wider for few clusters (the expanded percentile interval of
    Hesterberg, 2015, "What Teachers Should Know About the Bootstrap"): with G clusters the tail is
    :math:`\Phi(-\sqrt{G / (G - 1)}\, t_{G-1})` instead of :math:`(1 - confidence) / 2`. The same
    seed and clusters give the same resamples to every model, so results of models are paired.

    In simulations, nominal 90 % intervals held the truth this often: of the gain of a comparison
    86 % with 5 clusters and 89 % with 40; of MSE 82 and 87 %; of MAE, R² and the correlations 86
    to 92 %. The errors of plain counts hang on a few clips: theirs held it in 30 to 80 %.

    Attributes:
        resamples: How many.
        confidence: Share of intervals that should hold the truth.
        seed: Of the resamples.
    """

    resamples: int
    confidence: float
    seed: int

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
        labels = _numbered(clusters, len(truth))
        drawn = [
            resampled_metrics(truth, predicted, counts, yardstick)
            for counts in self._counts(labels)
        ]
        return {
            name: self._interval(np.concatenate([part[name] for part in drawn]), labels)
            for name in METRICS
        }

    def compare(
        self, y_true: ArrayLike, y_pred: ArrayLike, y_reference: ArrayLike, clusters: ArrayLike
    ) -> Comparison:
        """Compare the MSE of a model with that of a reference, resample by resample.

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
        labels = _numbered(clusters, len(truth))
        squares = np.stack([(predicted - truth) ** 2, (reference - truth) ** 2], axis=1)  # [N, 2]
        mse, mse_reference = squares.mean(axis=0)
        means = [counts @ squares / counts.sum(1, keepdims=True) for counts in self._counts(labels)]
        drawn, drawn_reference = np.concatenate(means).T  # [B] each
        return Comparison(
            gain=float(mse_reference - mse),
            gain_interval=self._interval(drawn_reference - drawn, labels),
            skill=float(_skill(mse, mse_reference)),
            skill_interval=self._interval(_skill(drawn, drawn_reference), labels),
        )

    def _counts(self, labels: NDArray[np.int64]) -> Iterator[Floats]:
        """Yield how often resamples hold each clip, [B, N] a time."""
        rng = np.random.default_rng(self.seed)
        clusters = int(labels.max()) + 1
        at_once = max(1, CELLS_AT_ONCE // len(labels))
        for done in range(0, self.resamples, at_once):
            size = min(at_once, self.resamples - done)
            drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), size)  # [B, G]
            yield drawn.astype(np.float64)[:, labels]

    def _interval(self, values: Floats, labels: NDArray[np.int64]) -> Interval:
        defined = values[~np.isnan(values)]
        clusters = int(labels.max()) + 1
        if clusters < 2 or not len(defined):
            return Interval(low=math.nan, high=math.nan)
        tail = expanded_tail(clusters, self.confidence)
        low, high = np.quantile(defined, [tail, 1 - tail])
        return Interval(low=float(low), high=float(high))


def expanded_tail(clusters: int, confidence: float) -> float:
    """Return the share to leave out at each end, narrower than nominal for few clusters."""
    from scipy import stats

    quantile = stats.t.ppf((1 - confidence) / 2, df=clusters - 1)
    return float(stats.norm.cdf(math.sqrt(clusters / (clusters - 1)) * quantile))


def _skill(mse: ArrayLike, mse_reference: ArrayLike) -> Floats:
    reference = np.asarray(mse_reference, dtype=np.float64)
    return 1 - np.asarray(mse) / np.where(reference > 0, reference, np.nan)


def _numbered(clusters: ArrayLike, size: int) -> NDArray[np.int64]:
    """Return clusters as numbers from 0, [N]."""
    labels = np.asarray(clusters)
    if labels.shape != (size,):
        raise ValueError(f"clusters has the shape {list(labels.shape)} and must have [{size}].")
    return np.unique(labels.astype(str), return_inverse=True)[1].astype(np.int64)
