"""How far a single clip may lie from its prediction: conformal intervals, and their coverage.

Split-conformal intervals (Lei et al., 2018, "Distribution-Free Predictive Inference for
Regression") are as wide for every clip. Conformalised quantile regression (Romano, Patterson and
Candès, 2019) lets the width depend on the clip. MAPIE calibrates both; what it finds is kept as
plain numbers, so that an interval needs neither MAPIE nor a pickle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from tiktok_virality.evaluation.intervals import Interval
from tiktok_virality.schema import Config

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

Floats = NDArray[np.float64]

Method = Literal["split", "quantile"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)

LEVELS: Final = (0.5, 0.8, 0.9)
"""Shares of clips that their intervals should hold."""

SHOWN_LEVEL: Final = 0.8
"""The level of ``lower`` and ``upper`` in the table of predictions."""

FEATURES: Final = ("prediction", "log_duration", "modalities", "log_distance", "disagreement")
"""What the width of an interval may depend on; the first is what the interval is around. Modalities
are how many the clip has, distance is from the training clips, and disagreement is the deviation of
what the modality models say."""


def interval_features(
    prediction: Floats, *, log_duration: Floats, said: Floats, distances: Floats
) -> Floats:
    """Return what the width of intervals may depend on, the `FEATURES`, float64 [N, F].

    Args:
        prediction: What the intervals are around, [N].
        log_duration: Logarithm of the seconds, [N].
        said: What the models of single modalities predict, [M, N]; NaN where a clip lacks one.
        distances: From the training clips, [N]; NaN for a clip without tokens, which counts as a
            usual one.
    """
    there = ~np.isnan(said)
    counts = there.sum(axis=0)
    middle = np.where(there, said, 0).sum(axis=0) / np.maximum(counts, 1)
    squares = np.where(there, (said - middle) ** 2, 0).sum(axis=0) / np.maximum(counts, 1)
    columns = {
        "prediction": prediction,
        "log_duration": log_duration,
        "modalities": counts,
        "log_distance": np.nan_to_num(np.log(distances)),
        "disagreement": np.sqrt(squares),
    }
    return np.stack([np.asarray(columns[name], np.float64) for name in FEATURES], axis=1)


@dataclass(frozen=True, kw_only=True)
class PredictedClips:
    """Clips with predictions, in one order.

    Attributes:
        features: The `FEATURES`, float64 [N, F].
        truth: What was predicted, on the same scale as the prediction, [N].
    """

    features: Floats
    truth: Floats

    def __len__(self) -> int:
        return len(self.truth)


class LinearQuantile(Config):
    """A conditional quantile: an intercept and a weight for each of the `FEATURES`."""

    intercept: float
    weights: tuple[float, ...]

    def predict(self, features: Floats) -> Floats:
        """Return the quantile for each clip, [N]."""
        return self.intercept + features @ np.asarray(self.weights)


class QuantileBand(Config):
    """Two quantiles, both moved outwards by one margin (inwards where it is negative)."""

    lower: LinearQuantile
    upper: LinearQuantile
    margin: float


class LevelIntervals(Config):
    """Intervals of one level.

    Attributes:
        level: Share of clips that they should hold.
        radius: Half the width of the split-conformal interval; ``None`` where there were too few
            calibration clips.
        band: Of the conformalised quantile regression; ``None`` likewise.
    """

    level: float
    radius: float | None
    band: QuantileBand | None

    def bounds(self, features: Floats, method: Method) -> tuple[Floats, Floats]:
        """Return what MAPIE would: lower and upper ends, [N] each; NaN where there are none."""
        if self.radius is None or self.band is None:
            nothing = np.full(len(features), np.nan)
            return nothing, nothing
        if method == "split":
            return features[:, 0] - self.radius, features[:, 0] + self.radius
        band = self.band
        lower, upper = (end.predict(features) for end in (band.lower, band.upper))
        return lower - band.margin, upper + band.margin


class ClipIntervals(Config):
    """Calibrated intervals of one model.

    Attributes:
        features: Names of the columns that `apply` reads, in order.
        calibration_clips: How many clips calibrated them.
        levels: From the narrowest to the widest.
    """

    features: tuple[str, ...]
    calibration_clips: int
    levels: tuple[LevelIntervals, ...]

    def apply(self, features: Floats, level: float, method: Method) -> tuple[Floats, Floats]:
        """Return the interval of each clip.

        Quantiles that were fitted one by one may cross. An interval whose ends cross is the point
        between them, and one of a higher level holds those of lower levels. Both only ever make an
        interval larger, so that it holds the truth at least as often.

        Args:
            features: One row per clip, [N, F].
            level: One of `levels`.
            method: Which of the two kinds.

        Returns:
            Lower and upper ends, [N] each; NaN for a level without intervals.

        Raises:
            KeyError: There is no such level.
        """
        chosen = self._level(level)
        if chosen.radius is None:
            return chosen.bounds(features, method)
        ends = [
            each.bounds(features, method)
            for each in self.levels
            if each.level <= level and each.radius is not None
        ]
        lower, upper = (np.stack(part) for part in zip(*ends, strict=True))  # [levels, N] each
        middle = (lower + upper) / 2
        return np.minimum(lower, middle).min(axis=0), np.maximum(upper, middle).max(axis=0)

    def _level(self, level: float) -> LevelIntervals:
        for each in self.levels:
            if each.level == level:
                return each
        known = ", ".join(f"{each.level:g}" for each in self.levels)
        raise KeyError(f"There are no intervals of the level {level:g}; there are {known}.")


class SeedIntervals(Config):
    """The calibrated intervals of a model that was trained under one seed.

    Attributes:
        seed: Of the model.
        intervals: Its intervals.
        fold: Which fold the model tests; ``None`` for the one that is served.
    """

    seed: int
    intervals: ClipIntervals
    fold: int | None = None


class IntervalModel(Config):
    """The calibrated intervals of a model, for every seed that it was trained under.

    Attributes:
        model: Its name.
        method: Whose intervals are shown.
        main_seed: Whose model is kept and served.
        by_seed: The main seed first, and of a seed the served model first.
    """

    model: str
    method: Method
    main_seed: int
    by_seed: tuple[SeedIntervals, ...]

    def intervals(self, seed: int | None = None, fold: int | None = None) -> ClipIntervals:
        """Return the intervals of a seed, by default of the main one, and of a fold.

        Raises:
            KeyError: The model was not trained under this seed, or tests no such fold.
        """
        wanted = (self.main_seed if seed is None else seed, fold)
        for each in self.by_seed:
            if (each.seed, each.fold) == wanted:
                return each.intervals
        known = ", ".join(f"{each.seed} (fold {each.fold})" for each in self.by_seed)
        raise KeyError(
            f"There are no intervals for the seed {wanted[0]} (fold {fold}); there are for {known}."
        )


def clips_needed(level: float) -> int:
    """Return how many calibration clips MAPIE asks for: 1 / (1 - level).

    The rank argument alone would need one fewer.
    """
    return math.ceil(round(1 / (1 - level), 6))


def calibrate(
    fitting: PredictedClips,
    calibration: PredictedClips,
    everything: PredictedClips | None = None,
) -> ClipIntervals:
    """Calibrate both methods at all `LEVELS`.

    Args:
        fitting: Teaches the quantile regression; neither trained the predictor nor calibrates.
        calibration: Decides the widths, and nothing else; whatever sees these clips before this
            (training, early stopping, the choice of a model) breaks the promise.
        everything: Decides the one width of ``split`` instead, where more clips can.

    Returns:
        Intervals; a level for which there are fewer than `clips_needed` has none.

    Raises:
        ValueError: The columns are not the `FEATURES`, a value is not finite, or there is nothing
            to fit.
    """
    widest = calibration if everything is None else everything
    for clips, name in (
        (fitting, "fitting"),
        (calibration, "calibration"),
        (widest, "calibration"),
    ):
        _check(clips, name)
    return ClipIntervals(
        features=FEATURES,
        calibration_clips=len(widest),
        levels=tuple(_calibrate_level(each, fitting, calibration, widest) for each in LEVELS),
    )


def calibrate_across(folds: Sequence[PredictedClips]) -> ClipIntervals:
    """Calibrate both methods on folds, each predicted by a model that learned from the others.

    Cross-conformal intervals (Vovk, 2015, "Cross-conformal predictors"), for a model that has
    learned from all of these clips, or from all and others. That one model is no worse than those
    of the folds is assumed, and what the intervals hold is counted. CV+ (Barber et al., 2021)
    assumes less, and would have every model of the folds predict each clip. All clips decide the
    width of ``split``; for ``quantile`` the first fold teaches quantiles, and the others decide.

    Args:
        folds: The clips of each, at least two.

    Raises:
        ValueError: As `calibrate`.
    """
    first, *others = folds
    return calibrate(first, _joined(others), everything=_joined(folds))


def _joined(parts: Sequence[PredictedClips]) -> PredictedClips:
    return PredictedClips(
        features=np.concatenate([part.features for part in parts]),
        truth=np.concatenate([part.truth for part in parts]),
    )


def _calibrate_level(
    level: float,
    fitting: PredictedClips,
    calibration: PredictedClips,
    everything: PredictedClips,
) -> LevelIntervals:
    if len(calibration) < clips_needed(level):
        return LevelIntervals(level=level, radius=None, band=None)
    return LevelIntervals(
        level=level,
        radius=_radius(level, everything),
        band=_band(level, fitting, calibration),
    )


def _radius(level: float, calibration: PredictedClips) -> float:
    """Let MAPIE choose the radius: it is the upper end for a prediction of zero."""
    from mapie.regression import SplitConformalRegressor

    mapie = SplitConformalRegressor(
        prefit_regressor(prediction_itself()), confidence_level=level, prefit=True
    )
    mapie.conformalize(calibration.features, calibration.truth)
    _, bounds = mapie.predict_interval(np.zeros((1, len(FEATURES))))  # [1, 2, 1]
    return float(bounds[0, 1, 0])


def _band(level: float, fitting: PredictedClips, calibration: PredictedClips) -> QuantileBand:
    """Fit the two quantiles, and let MAPIE choose the margin."""
    from mapie.regression import ConformalizedQuantileRegressor

    lower, upper, median = (
        fit_quantile(fitting, quantile) for quantile in ((1 - level) / 2, (1 + level) / 2, 0.5)
    )
    mapie = ConformalizedQuantileRegressor(
        [prefit_regressor(each) for each in (lower, upper, median)],
        confidence_level=level,
        prefit=True,
    )
    mapie.conformalize(calibration.features, calibration.truth)
    usual = calibration.features.mean(
        axis=0, keepdims=True
    )  # [1, F]; the margin is the same anywhere
    _, bounds = mapie.predict_interval(usual, symmetric_correction=True)  # [1, 2, 1]
    margin = float(bounds[0, 1, 0] - upper.predict(usual)[0])
    return QuantileBand(lower=lower, upper=upper, margin=margin)


def fit_quantile(clips: PredictedClips, quantile: float) -> LinearQuantile:
    r"""Fit a quantile of the error, as a linear function of the features, around the prediction.

    An L1 penalty of :math:`\sqrt{q (1 - q) / n}` on standardised features keeps a feature out
    unless it says more than one standard error of what chance would: the penalty of Belloni and
    Chernozhukov (2011, "L1-penalized quantile regression in high-dimensional sparse models"),
    without its factors for thousands of features. With few clips little enters, and the band is
    nearly as wide for every clip; without a penalty, bands from 60 clips are an eighth wider.
    """
    from sklearn.linear_model import QuantileRegressor
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(clips.features)
    penalty = math.sqrt(quantile * (1 - quantile) / len(clips))
    model = QuantileRegressor(quantile=quantile, alpha=penalty, solver="highs")
    model.fit(scaler.transform(clips.features), clips.truth - clips.features[:, 0])
    weights = model.coef_ / scaler.scale_
    around_the_prediction = np.eye(1, len(FEATURES))[0]
    return LinearQuantile(
        intercept=float(model.intercept_ - weights @ scaler.mean_),
        weights=tuple((weights + around_the_prediction).tolist()),
    )


def prediction_itself() -> LinearQuantile:
    """Return the linear function that gives the first feature, the prediction."""
    return LinearQuantile(intercept=0.0, weights=tuple(np.eye(1, len(FEATURES))[0].tolist()))


def prefit_regressor(function: LinearQuantile) -> RegressorMixin:
    """Return a linear function as MAPIE wants it: a scikit-learn regressor that is fitted."""
    from sklearn.linear_model import LinearRegression

    regressor: Any = LinearRegression()
    regressor.coef_ = np.asarray(function.weights)
    regressor.intercept_ = function.intercept
    regressor.n_features_in_ = len(function.weights)
    return regressor


def share_interval(
    held: Floats, clusters: NDArray[Any], confidence: float = 0.95
) -> tuple[float, Interval]:
    """Return the share of clips that something holds for, and where that share may lie.

    The interval is exact binomial (Clopper and Pearson), for as many independent clips as the
    clips of few creators are worth (Korn and Graubard, 1998, "Confidence intervals for proportions
    with small expected number of positive counts estimated from survey data"). Where all clips
    agree the worth cannot be measured: a creator then counts as one clip.

    Args:
        held: 1 where it holds and 0 where not, or the share of repeats in which it does, [N].
        clusters: What belongs together, such as creators, [N].
        confidence: Share of such intervals that should hold the truth.

    Raises:
        ValueError: There are no clips.
    """
    from statsmodels.stats.proportion import proportion_confint

    if not len(held):
        raise ValueError("There are no clips to take the share of.")
    share = float(np.mean(held))
    worth = _independent_clips(held, clusters, confidence)
    low, high = proportion_confint(share * worth, worth, alpha=1 - confidence, method="beta")
    return share, Interval(low=float(low), high=float(high))


def _independent_clips(held: Floats, clusters: NDArray[Any], confidence: float) -> float:
    """Return how many independent clips these are worth: the effective sample size."""
    from scipy.stats import t

    count, share = len(held), float(np.mean(held))
    labels = np.unique(clusters.astype(str), return_inverse=True)[1]
    groups = int(labels.max()) + 1
    binomial = share * (1 - share) / count
    if groups < 2 or binomial <= 0:
        return float(groups)
    totals = np.bincount(labels, weights=held - share)  # [G]
    variance = groups / (groups - 1) * float(totals @ totals) / count**2
    worth = count if variance <= binomial else count * binomial / variance
    tail = (1 - confidence) / 2
    few = (t.ppf(tail, max(count - 1, 1)) / t.ppf(tail, groups - 1)) ** 2
    return float(max(1.0, worth * few))


def _check(clips: PredictedClips, name: str) -> None:
    wanted = (len(clips), len(FEATURES))
    if clips.features.shape != wanted or clips.truth.ndim != 1:
        raise ValueError(
            f"The {name} features have the shape {list(clips.features.shape)} and must have "
            f"{list(wanted)}: {', '.join(FEATURES)}."
        )
    if not len(clips) or not (np.isfinite(clips.features).all() and np.isfinite(clips.truth).all()):
        raise ValueError(f"The {name} clips must be at least one, and every value finite.")
