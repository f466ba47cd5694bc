"""How much each of several kernels explains, by the evidence of the data (type II likelihood).

A Gaussian process whose covariance is a weighted sum of kernels (Duvenaud, Nickisch and Rasmussen,
2011, "Additive Gaussian processes"; in statistics, a variance components model). The weights are
those under which the data are most likely (Rasmussen and Williams, 2006, chapter 5): a kernel that
explains nothing is given next to nothing, without folds and without held-out clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

LOG_WEIGHTS: Final = (-9.0, 3.0)
LOG_NOISE: Final = (-5.0, 2.0)
"""Limits of the logarithms, for a target of variance 1."""
STEPS: Final = 60
CLIPS_FOR_KERNELS: Final = 1500
"""Most clips that kernels are weighed on: their cost is the cube of the clips."""


def few_of(clips: int) -> NDArray[np.int64]:
    """Return the places of a random few of many clips, sorted: at most `CLIPS_FOR_KERNELS`."""
    return np.sort(np.random.default_rng(0).permutation(clips)[:CLIPS_FOR_KERNELS])


def weigh_kernels(kernels: Sequence[Floats], target: Floats) -> tuple[Floats, float]:
    """Find the weights and the noise that make the target most likely.

    Every step inverts an [N, N] matrix.

    Args:
        kernels: Symmetric, non-negative definite, with diagonals of about 1, [N, N] each.
        target: Mean 0 and variance about 1, [N].

    Returns:
        The variance that each kernel explains, [K], and the variance of the noise.
    """
    from scipy.optimize import minimize

    parts = [*kernels, np.eye(len(target))]
    start = np.log([*[0.5 / max(len(kernels), 1)] * len(kernels), 0.5])
    found = minimize(
        _surprise,
        start,
        args=(parts, target),
        jac=True,
        method="L-BFGS-B",
        bounds=[*[LOG_WEIGHTS] * len(kernels), LOG_NOISE],
        options={"maxiter": STEPS},
    )
    weights = np.exp(found.x)
    return weights[:-1], float(weights[-1])


def linear_effects(
    features: Sequence[Floats],
    variances: Sequence[float],
    groups: NDArray[Any],
    group_variance: float,
    target: Floats,
    noise: float,
) -> list[Floats]:
    """Return the posterior mean weights of a Gaussian process with linear kernels.

    It is what solving with the kernels gives, in the space of the features, whose cost grows with
    the clips and not with their cube. What clips of a group have in common is integrated out.

    Args:
        features: Blocks, [N, D] each, whose kernels are ``x @ x.T``.
        variances: Weight of each block's kernel.
        groups: Of each clip, [N].
        group_variance: Weight of the kernel that is one within a group.
        target: Mean 0, [N].
        noise: Variance.

    Returns:
        The weights of each block, [D] each.
    """
    deviations = [v**0.5 for v in variances]
    scaled = np.concatenate([d * x for d, x in zip(deviations, features, strict=True)], axis=1)
    whitened = _without_groups(scaled, groups, group_variance, noise)  # [N, D]
    precision = np.eye(scaled.shape[1]) + scaled.T @ whitened
    weights = np.linalg.solve(precision, whitened.T @ target)
    ends = np.cumsum([x.shape[1] for x in features])
    return [d * w for d, w in zip(deviations, np.split(weights, ends[:-1]), strict=True)]


def _without_groups(
    values: Floats, groups: NDArray[Any], group_variance: float, noise: float
) -> Floats:
    """Multiply by the inverse of the covariance of noise and group effects, [N, D]."""
    _, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group)
    sums = np.zeros((len(sizes), values.shape[1]))
    np.add.at(sums, group, values)
    shrunk = sums * (group_variance / (noise + sizes * group_variance))[:, None]
    return (values - shrunk[group]) / noise


def _surprise(log_weights: Floats, parts: Sequence[Floats], target: Floats) -> tuple[float, Floats]:
    """Return the negative log marginal likelihood, but for a constant, and its gradient."""
    from scipy.linalg import cho_factor, cho_solve

    weights = np.exp(log_weights)
    factor = cho_factor(_covariance(weights, parts), lower=True)
    inverse = cho_solve(factor, np.eye(len(target)))
    dual = inverse @ target
    value = 0.5 * target @ dual + np.log(np.diag(factor[0])).sum()
    slopes = [
        0.5 * weight * ((inverse * part).sum() - dual @ part @ dual)
        for weight, part in zip(weights, parts, strict=True)
    ]
    return float(value), np.asarray(slopes)


def _covariance(weights: Floats, parts: Sequence[Floats]) -> Floats:
    return np.sum([weight * part for weight, part in zip(weights, parts, strict=True)], axis=0)
