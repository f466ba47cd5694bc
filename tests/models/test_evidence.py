"""Kernels are weighed by what they explain."""

from __future__ import annotations

import numpy as np
from scipy.optimize import check_grad

from tiktok_virality.models import evidence
from tiktok_virality.models.evidence import (
    SPREAD,
    LinearEffect,
    ProductEffect,
    explain,
    weigh_kernels,
)


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


def test_many_kernels_together_say_that_there_is_nothing_to_explain():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(120, 20))  # what the modalities say is much the same
    features = [common @ rng.normal(size=(20, 4)) for _ in range(80)]
    kernels = [x @ x.T / np.square(x).sum(axis=1).mean() for x in features]
    weights, noise = weigh_kernels(kernels, rng.standard_normal(120), SPREAD)
    assert weights.sum() < 0.1
    assert noise > 0.7


def test_the_slope_is_that_of_the_posterior():
    parts = np.stack([linear(0, 30), linear(1, 30), np.eye(30)])
    target = drawn_from(parts[0], 0.5, seed=3)
    error = check_grad(
        lambda x: evidence._surprise(x, parts, target, 2.0)[0],
        lambda x: evidence._surprise(x, parts, target, 2.0)[1],
        np.log([0.3, 0.6, 0.4]),
    )
    assert error < 1e-3


def effects(written: dict) -> list[evidence.Effect]:
    """One linear effect and one product, of 60 clips of which some lack a kind."""
    rng = np.random.default_rng(0)
    present = rng.uniform(size=60) < 0.8
    one, other = (rng.normal(size=(60, size)) * present[:, None] for size in (3, 2))
    return [
        LinearEffect(rng.normal(size=(60, 90)), lambda w: written.update(linear=w)),
        ProductEffect(
            one,
            other,
            present,
            lambda w: written.update(product=w),
            lambda u: written.update(usual=u),
        ),
    ]


def test_applying_an_effect_is_multiplying_by_its_kernel():
    dual = np.random.default_rng(1).normal(size=60)
    for effect in effects({}):
        kernel = effect.kernel(np.arange(60))
        np.testing.assert_allclose(kernel, kernel.T)
        assert np.linalg.eigvalsh(kernel).min() > -1e-9
        np.testing.assert_allclose(effect.apply(dual), kernel @ dual, atol=1e-10)


def test_what_is_written_predicts_what_the_kernel_says():
    dual, written = np.random.default_rng(1).normal(size=60), {}
    linear_effect, product = effects(written)
    for effect in (linear_effect, product):
        effect.settle(dual)
    said = linear_effect.features @ written["linear"]
    np.testing.assert_allclose(said, linear_effect.apply(dual), atol=1e-10)
    raw = np.einsum("np,pq,nq->n", product.one, written["product"], product.other)
    said = (raw - written["usual"]) * product.present
    np.testing.assert_allclose(said, product.apply(dual), atol=1e-10)


def test_many_clips_are_solved_for_as_few_are(monkeypatch):
    rng = np.random.default_rng(4)
    x, groups = rng.normal(size=(300, 5)), np.arange(300) // 3
    y = x[:, 0] + 0.5 * rng.normal(size=100)[groups] + 0.3 * rng.normal(size=300)
    found: dict[int, np.ndarray] = {}
    for most in (1000, 150):
        monkeypatch.setattr(evidence, "CLIPS_FOR_KERNELS", most)
        explain(
            [LinearEffect(x, lambda w, most=most: found.update({most: w}))], y - y.mean(), groups
        )
    np.testing.assert_allclose(found[150], found[1000], atol=0.05)
    assert found[1000][0] > 0.9
