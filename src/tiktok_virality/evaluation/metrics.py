"""How far predictions are from the truth, over a whole split at once."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

METRICS: Final = (
    "mse",
    "rmse",
    "mae",
    "r2",
    "spearman",
    "pearson",
    "mse_views",
    "mae_views",
)

NO_VARIANCE: Final = 1e-12
"""A variance below this share of the second moment is rounding, not spread."""


def regression_metrics(y_true: ArrayLike, y_pred: ArrayLike) -> dict[str, float]:
    r"""Return every metric of one model on one split.

    With :math:`e_i = \hat y_i - y_i` over :math:`n` clips, :math:`y = \ln(1 + views)`:

    - ``mse`` :math:`= \frac1n \sum e_i^2`; ``rmse`` is its root
    - ``mae`` :math:`= \frac1n \sum |e_i|`
    - ``r2`` :math:`= 1 - \sum e_i^2 / \sum (y_i - \bar y)^2`: 0 is what the mean of these very
      clips would reach, which no model can know
    - ``pearson``: correlation of :math:`y` and :math:`\hat y`; ``spearman``: of their ranks, equal
      values sharing their middle rank
    - ``mse_views``, ``mae_views``: the same errors on views in thousands,
      :math:`(e^{y} - 1) / 1000`

    Args:
        y_true: log1p(views), [N].
        y_pred: Predicted log1p(views), [N].

    Returns:
        ``n`` and the `METRICS`. A correlation with a constant, and R² of a constant truth, do not
        exist: they are NaN.

    Raises:
        ValueError: The arrays are empty, differ in length, or hold NaN or infinity.
    """
    truth, predicted = as_pair(y_true, y_pred)
    everything_once = np.ones((1, len(truth)))
    metrics = resampled_metrics(truth, predicted, everything_once)
    return {"n": len(truth), **{name: float(metrics[name][0]) for name in METRICS}}


def resampled_metrics(y_true: Floats, y_pred: Floats, counts: Floats) -> dict[str, Floats]:
    """Return every metric of many resamples of the same clips.

    Args:
        y_true: log1p(views), [N].
        y_pred: Predicted log1p(views), [N].
        counts: How often each resample holds each clip, [B, N], at least one clip each.

    Returns:
        The `METRICS`, [B] each.
    """
    weights = counts / counts.sum(axis=1, keepdims=True)  # [B, N]
    error = y_pred - y_true
    thousands = (np.expm1(y_pred) - np.expm1(y_true)) / 1000
    errors = np.stack([error**2, np.abs(error), thousands**2, np.abs(thousands)], axis=1)
    mse, mae, mse_views, mae_views = (weights @ errors).T
    return {
        "mse": mse,
        "rmse": np.sqrt(mse),
        "mae": mae,
        "r2": 1 - mse / _variances(y_true, weights),
        "spearman": _rank_correlations(y_true, y_pred, counts),
        "pearson": _correlations(y_true, y_pred, weights),
        "mse_views": mse_views,
        "mae_views": mae_views,
    }


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
