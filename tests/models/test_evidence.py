"""Kernels are weighed by what they explain."""

from __future__ import annotations

import numpy as np
from scipy.optimize import check_grad

from tiktok_virality.models import evidence
from tiktok_virality.models.evidence import linear_effects, weigh_kernels


def linear(seed: int, count: int, size: int = 3) -> np.ndarray:
    features = np.random.default_rng(seed).normal(size=(count, size))
    return features @ features.T / size


def drawn_from(kernel: np.ndarray, noise: float, seed: int) -> np.ndarray:
    covariance = kernel + noise * np.eye(len(kernel))
    return np.random.default_rng(seed).multivariate_normal(np.zeros(len(kernel)), covariance)


def test_a_kernel_that_explains_nothing_is_given_next_to_nothing():
    useful, useless = linear(0, 200), linear(1, 200)
    weights, noise = weigh_kernels([useful, useless], drawn_from(useful, 0.2, seed=2))
    assert weights[0] > 20 * weights[1]
    assert 0.1 < noise < 0.4


def test_the_slope_is_that_of_the_likelihood():
    parts = [linear(0, 30), linear(1, 30), np.eye(30)]
    target = drawn_from(parts[0], 0.5, seed=3)
    error = check_grad(
        lambda x: evidence._surprise(x, parts, target)[0],
        lambda x: evidence._surprise(x, parts, target)[1],
        np.log([0.3, 0.6, 0.4]),
    )
    assert error < 1e-3


def test_linear_effects_are_those_that_solving_with_the_kernels_gives():
    rng = np.random.default_rng(0)
    blocks, groups = [rng.normal(size=(60, 4)), rng.normal(size=(60, 90))], rng.integers(0, 9, 60)
    target, variances, noise = rng.normal(size=60), [0.7, 0.02], 0.3
    same = (groups[:, None] == groups[None, :]).astype(float)
    covariance = 0.5 * same + noise * np.eye(60)
    covariance += sum(v * x @ x.T for v, x in zip(variances, blocks, strict=True))
    dual = np.linalg.solve(covariance, target)
    found = linear_effects(blocks, variances, groups, 0.5, target, noise)
    for weights, variance, block in zip(found, variances, blocks, strict=True):
        np.testing.assert_allclose(weights, variance * block.T @ dual, atol=1e-10)
