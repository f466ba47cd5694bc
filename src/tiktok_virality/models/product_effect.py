"""Main effects, and one product of an effect of each modality, fitted by variational Bayes.

    target = main + left * right + noise

``main`` is a Gaussian process; ``left`` is linear in a few features, ``right`` a Gaussian process.
A kernel that is a product of kernels allows every left feature a right effect of its own; that
there is one effect of each is said by taking the factors as independent in the posterior and
updating each given the means and variances of the others (mean-field; Bishop, 2006, chapter 10.1;
for matrix factors Lim and Teh, 2007, "Variational Bayesian approach to movie rating prediction").
Point estimates of the factors by turns, without their variances, learn a small corpus by heart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tiktok_virality.models.evidence import Floats

ROUNDS: Final = 40
START: Final = 0.1
"""Of the left weights that a start does not begin from."""


@dataclass(frozen=True, kw_only=True)
class ProductEffect:
    """Posterior means.

    Attributes:
        main_dual: Of the main effect: its values are the main kernel times this, [N].
        left: Weights of the left features, [P].
        right_dual: Of the right effect, [N].
        error: Expected squared error on the training clips.
    """

    main_dual: Floats
    left: Floats
    right_dual: Floats
    error: float


def fit_product(
    main: Floats, left: Floats, right: Floats, target: Floats, noise: float
) -> ProductEffect:
    """Fit main effect and product; the best of one start from each left feature.

    Args:
        main: Covariance of the main effect, [N, N].
        left: Features, scaled so that weights of variance 1 are expected, [N, P].
        right: Covariance of the right effect; zero where a clip has no such modality, [N, N].
        target: Mean 0 and variance about 1, [N].
        noise: Variance.
    """
    starts = [_fit_from(first, main, left, right, target, noise) for first in range(left.shape[1])]
    return min(starts, key=lambda fitted: fitted.error)


def _fit_from(
    first: int, main: Floats, left: Floats, right: Floats, target: Floats, noise: float
) -> ProductEffect:
    count, size = left.shape
    weights = np.full(size, START)
    weights[first] = 1.0
    spread: Floats = np.zeros((size, size))
    main_values = np.zeros(count)
    for _ in range(ROUNDS):
        f, f_squared = _left_moments(left, weights, spread)
        rest = target - main_values
        right_dual, g, g_squared = _right_moments(right, f * rest, f_squared, noise)
        spread = np.linalg.inv(np.eye(size) + (left * g_squared[:, None]).T @ left / noise)
        weights = spread @ (left.T @ (g * rest)) / noise
        f, f_squared = _left_moments(left, weights, spread)
        main_dual = np.linalg.solve(main + noise * np.eye(count), target - f * g)
        main_values = main @ main_dual
    rest = target - main_values
    error = float(np.mean(rest**2 - 2 * rest * f * g + f_squared * g_squared))
    return ProductEffect(main_dual=main_dual, left=weights, right_dual=right_dual, error=error)


def _left_moments(left: Floats, weights: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """Return the mean and the mean square of the left effect, [N] each."""
    mean = left @ weights
    return mean, mean**2 + np.einsum("np,pq,nq->n", left, spread, left)


def _right_moments(
    right: Floats, weighted: Floats, precision: Floats, noise: float
) -> tuple[Floats, Floats, Floats]:
    """Return the dual of the right effect, its mean and its mean square, [N] each.

    Every clip observes ``weighted / precision`` with the variance ``noise / precision``.
    """
    precision = np.maximum(precision, 1e-9)
    observed = right + np.diag(noise / precision)
    dual = np.linalg.solve(observed, weighted / precision)
    mean = right @ dual
    variance = np.diag(right) - np.einsum("nm,mn->n", right, np.linalg.solve(observed, right))
    return dual, mean, mean**2 + np.maximum(variance, 0)
