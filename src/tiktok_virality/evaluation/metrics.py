"""How far predictions are from the truth, over a whole split at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

METRICS: Final = (
    "mse",
    "rmse",
    "mae",
    "r2",
    "nmse",
    "skill_mean",
    "skill_median",
    "spearman",
    "pearson",
    "macro_f1",
    "ordinal_correlation",
    "mse_views",
    "mae_views",
)

CLASSES: Final = 4
"""Quartile classes, from 0, the least watched, to 3."""

NO_VARIANCE: Final = 1e-12
"""A variance below this share of the second moment is rounding, not spread."""


@dataclass(frozen=True, kw_only=True)
class Yardstick:
    """What metrics must know of the training split and of the scale of the truth.

    Attributes:
        mean: Of the training truth: what ``skill_mean`` compares with.
        median: Of the training truth: what ``skill_median`` compares with.
        class_edges: The three values that part the classes, rising: quartiles of the training
            truth.
        log_views: Whether truth and predictions are log1p of a count of views, so that errors in
            views exist.
    """

    mean: float
    median: float
    class_edges: tuple[float, float, float]
    log_views: bool = True

    @classmethod
    def of(cls, y_train: ArrayLike) -> Yardstick:
        """Return that of a training truth, log1p(views), [N]."""
        truth, _ = as_pair(y_train, y_train)
        return cls(
            mean=float(truth.mean()),
            median=float(np.median(truth)),
            class_edges=quartile_edges(truth),
        )


def quartile_edges(values: ArrayLike) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile of values, [N]."""
    low, middle, high = np.quantile(np.asarray(values, dtype=np.float64), (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def classes_of(values: ArrayLike, edges: tuple[float, float, float]) -> NDArray[np.int64]:
    """Return the class of each value, 0 to 3, [N]; a value on an edge belongs above it."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.searchsorted(edges, numbers, side="right").astype(np.int64)


def regression_metrics(
    y_true: ArrayLike, y_pred: ArrayLike, yardstick: Yardstick | None = None
) -> dict[str, float]:
    r"""Return every metric of one model on one split.

    With :math:`e_i = \hat y_i - y_i` over :math:`n` clips, :math:`y` on the scale of the target,
    :math:`\ln(1 + views)` unless another was chosen:

    - ``mse`` :math:`= \frac1n \sum e_i^2`; ``rmse`` is its root
    - ``mae`` :math:`= \frac1n \sum |e_i|`
    - ``r2`` :math:`= 1 - \sum e_i^2 / \sum (y_i - \bar y)^2`: 0 is what the mean of these very
      clips would reach, which no model can know
    - ``nmse`` :math:`= 1 - R^2`, the MSE over the variance of the truth on this split: the
      normalised MSE of the literature on micro-video popularity
    - ``skill_mean`` :math:`= 1 - \sum e_i^2 / \sum (y_i - m)^2` with the training mean :math:`m`;
      ``skill_median`` :math:`= 1 - \sum |e_i| / \sum |y_i - q|` with the training median
      :math:`q`: the share of the error of these constants that the model does away with. Unlike
      R², zero is what a model without any knowledge of the clip does reach
    - ``pearson``: correlation of :math:`y` and :math:`\hat y`; ``spearman``: of their ranks, equal
      values sharing their middle rank
    - ``macro_f1``: mean F1 of the four classes that the training quartiles of :math:`y` make,
      over the classes that occur in truth or predictions; ``ordinal_correlation``: Kendall's
      :math:`\tau_b` of true and predicted class
    - ``mse_views``, ``mae_views``: the errors on views in thousands, :math:`(e^{y} - 1) / 1000`

    Args:
        y_true: On the scale of the target, [N].
        y_pred: Predictions on the same scale, [N].
        yardstick: Of the training split; without it, the skills and the metrics of classes are NaN.

    Returns:
        ``n`` and the `METRICS`. What does not exist is NaN: a correlation with a constant, R² of a
        constant truth, errors in views on a scale that has none.

    Raises:
        ValueError: The arrays are empty, differ in length, or hold NaN or infinity.
    """
    truth, predicted = as_pair(y_true, y_pred)
    everything_once = np.ones((1, len(truth)))
    metrics = resampled_metrics(truth, predicted, everything_once, yardstick)
    return {"n": len(truth), **{name: float(metrics[name][0]) for name in METRICS}}


def resampled_metrics(
    y_true: Floats, y_pred: Floats, counts: Floats, yardstick: Yardstick | None = None
) -> dict[str, Floats]:
    """Return every metric of many resamples of the same clips.

    Args:
        y_true: On the scale of the target, [N].
        y_pred: Predictions on the same scale, [N].
        counts: How often each resample holds each clip, [B, N], at least one clip each.
        yardstick: Of the training split, the same for every resample.

    Returns:
        The `METRICS`, [B] each.
    """
    weights = counts / counts.sum(axis=1, keepdims=True)  # [B, N]
    error = y_pred - y_true
    mse, mae = (weights @ np.stack([error**2, np.abs(error)], axis=1)).T
    nmse = mse / _variances(y_true, weights)
    return {
        "mse": mse,
        "rmse": np.sqrt(mse),
        "mae": mae,
        "r2": 1 - nmse,
        "nmse": nmse,
        **_skills(mse, mae, y_true, weights, yardstick),
        "spearman": _rank_correlations(y_true, y_pred, counts),
        "pearson": _correlations(y_true, y_pred, weights),
        **_class_metrics(y_true, y_pred, counts, yardstick),
        **_errors_in_views(y_true, y_pred, weights, yardstick),
    }


def _skills(
    mse: Floats, mae: Floats, y_true: Floats, weights: Floats, yardstick: Yardstick | None
) -> dict[str, Floats]:
    if yardstick is None:
        return {name: np.full(len(weights), np.nan) for name in ("skill_mean", "skill_median")}
    away = np.stack([(y_true - yardstick.mean) ** 2, np.abs(y_true - yardstick.median)], axis=1)
    mse_of_mean, mae_of_median = (weights @ away).T
    return {
        "skill_mean": 1 - mse / np.where(mse_of_mean > 0, mse_of_mean, np.nan),
        "skill_median": 1 - mae / np.where(mae_of_median > 0, mae_of_median, np.nan),
    }


def _errors_in_views(
    y_true: Floats, y_pred: Floats, weights: Floats, yardstick: Yardstick | None
) -> dict[str, Floats]:
    if yardstick is not None and not yardstick.log_views:
        return {name: np.full(len(weights), np.nan) for name in ("mse_views", "mae_views")}
    thousands = (np.expm1(y_pred) - np.expm1(y_true)) / 1000
    mse, mae = (weights @ np.stack([thousands**2, np.abs(thousands)], axis=1)).T
    return {"mse_views": mse, "mae_views": mae}


def _class_metrics(
    y_true: Floats, y_pred: Floats, counts: Floats, yardstick: Yardstick | None
) -> dict[str, Floats]:
    if yardstick is None:
        return {name: np.full(len(counts), np.nan) for name in ("macro_f1", "ordinal_correlation")}
    true, predicted = (classes_of(values, yardstick.class_edges) for values in (y_true, y_pred))
    cells = np.eye(CLASSES**2)[true * CLASSES + predicted]  # [N, 16]
    tables = (counts @ cells).reshape(-1, CLASSES, CLASSES)  # [B, true, predicted]
    return {"macro_f1": _macro_f1(tables), "ordinal_correlation": _kendall_tau_b(tables)}


def _macro_f1(tables: Floats) -> Floats:
    """Return the mean F1 over the classes that occur, [B], of tables of counts, [B, K, K]."""
    right = np.einsum("bkk->bk", tables)
    occurring = tables.sum(axis=1) + tables.sum(axis=2)  # [B, K]: 2 TP + FP + FN
    f1 = 2 * right / np.where(occurring > 0, occurring, 1)  # [B, K]
    return f1.sum(axis=1) / (occurring > 0).sum(axis=1)


def _kendall_tau_b(tables: Floats) -> Floats:
    """Return Kendall's tau-b, [B], of tables of counts, [B, K, K]; NaN where one side is constant.

    Kendall (1945), The treatment of ties in ranking problems, Biometrika 33.
    """
    # What lies above and to the right of a cell agrees with it, above and to the left disagrees.
    above = tables[:, ::-1].cumsum(axis=1)[:, ::-1] - tables  # [B, K, K]
    right = above[:, :, ::-1].cumsum(axis=2)[:, :, ::-1] - above
    left = above.cumsum(axis=2) - above
    agreement = (tables * (right - left)).sum(axis=(1, 2))
    pairs, tied_true, tied_predicted = (
        (sums * (sums - 1)).sum(axis=1) / 2
        for sums in (tables.sum(axis=(1, 2))[:, None], tables.sum(axis=2), tables.sum(axis=1))
    )
    untied = (pairs - tied_true) * (pairs - tied_predicted)
    return agreement / np.sqrt(np.where(untied > 0, untied, np.nan))


def as_pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[Floats, Floats]:
    """Return truth and predictions as float64 [N].

    Raises:
        ValueError: The arrays are empty, differ in length, or hold NaN or infinity.
    """
    truth = np.asarray(y_true, dtype=np.float64)
    predicted = np.asarray(y_pred, dtype=np.float64)
    if truth.ndim != 1 or truth.shape != predicted.shape or not len(truth):
        raise ValueError(
            "Truth and predictions must be two lists of one length, at least 1; they have the "
            f"shapes {list(truth.shape)} and {list(predicted.shape)}."
        )
    for name, values in (("y_true", truth), ("y_pred", predicted)):
        if not np.isfinite(values).all():
            bad = int(np.flatnonzero(~np.isfinite(values))[0])
            raise ValueError(f"{name}[{bad}] is {values[bad]}: every value must be finite.")
    return truth, predicted


def _variances(values: Floats, weights: Floats) -> Floats:
    """Return the weighted variance of each resample, [B]; NaN where there is no spread."""
    centred = values - np.median(values)
    mean, second = (weights @ np.stack([centred, centred**2], axis=1)).T
    return _without_rounding(second - mean**2, second)


def _correlations(first: Floats, second: Floats, weights: Floats) -> Floats:
    a, b = first - np.median(first), second - np.median(second)
    mean_a, mean_b, product = (weights @ np.stack([a, b, a * b], axis=1)).T
    covariance = product - mean_a * mean_b
    return covariance / np.sqrt(_variances(first, weights) * _variances(second, weights))


def _rank_correlations(first: Floats, second: Floats, counts: Floats) -> Floats:
    a, b = _centred_midranks(first, counts), _centred_midranks(second, counts)
    spread = np.einsum("bn,bn,bn->b", counts, a, a) * np.einsum("bn,bn,bn->b", counts, b, b)
    covariance = np.einsum("bn,bn,bn->b", counts, a, b)
    return covariance / np.sqrt(np.where(spread > 0, spread, np.nan))


def _centred_midranks(values: Floats, counts: Floats) -> Floats:
    """Return every clip's rank in every resample, less the mean rank, [B, N].

    Copies of a clip, and clips with equal values, share the middle of the ranks that they take.
    """
    _, first, place = np.unique(np.sort(values), return_index=True, return_inverse=True)
    order = np.argsort(values, kind="stable")
    taken = np.add.reduceat(counts[:, order], first, axis=1, dtype=np.float64)  # [B, distinct]
    up_to = np.cumsum(taken, axis=1)
    middle = up_to - taken / 2 - up_to[:, -1:] / 2
    ranks = np.empty(counts.shape)
    ranks[:, order] = middle[:, place]
    return ranks


def _without_rounding(variance: Floats, second_moment: Floats) -> Floats:
    return np.where(variance > NO_VARIANCE * second_moment, variance, np.nan)
