"""Kernels are weighed by what they explain."""

from __future__ import annotations

import numpy as np
from scipy.optimize import check_grad

from tiktok_virality.models import evidence
from tiktok_virality.models.evidence import weigh_kernels


def linear(seed: int, count: int, size: int = 3) -> np.ndarray:
    features = np.random.default_rng(seed).normal(size=(count, size))
    return features @ features.T / size


def drawn_from(kernel: np.ndarray, noise: float, seed: int) -> np.ndarray:
    covariance = kernel + noise * np.eye(len(kernel))
    return np.random.default_rng(seed).multivariate_normal(np.zeros(len(kernel)), covariance)


def test_a_kernel_that_explains_nothing_is_given_next_to_nothing():
    useful, useless = linear(0, 200), linear(1, 200)
    found = weigh_kernels([useful, useless], drawn_from(useful, 0.2, seed=2))
    assert found.weights[0] > 20 * found.weights[1]
    assert 0.1 < found.noise < 0.4


def test_the_slope_is_that_of_the_likelihood():
    parts = [linear(0, 30), linear(1, 30), np.eye(30)]
    target = drawn_from(parts[0], 0.5, seed=3)
    error = check_grad(
        lambda x: evidence._surprise(x, parts, target)[0],
        lambda x: evidence._surprise(x, parts, target)[1],
        np.log([0.3, 0.6, 0.4]),
    )
    assert error < 1e-3


def test_many_clips_are_weighed_by_a_few_and_all_take_part(monkeypatch):
    kernel = linear(0, 120)
    target = drawn_from(kernel, 0.2, seed=4)
    monkeypatch.setattr(evidence, "CLIPS_FOR_WEIGHTS", 60)
    found = weigh_kernels([kernel], target)
    fitted = found.weights[0] * kernel @ found.dual
    assert np.corrcoef(fitted, target)[0, 1] > 0.8
    assert (found.dual != 0).all()
