"""Pooling: each pool says of a clip what its name says."""

from __future__ import annotations

import numpy as np
import pytest

from tiktok_virality.models.pooling import POOLS, pool, stack_pooled
from tiktok_virality.schema import DataError


def pooled(tokens: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(POOLS, np.split(pool(tokens), len(POOLS)), strict=True))


def test_mean_and_deviation_are_over_time():
    found = pooled(np.array([[1.0, 2.0], [3.0, 2.0]]))
    np.testing.assert_allclose(found["mean"], [2, 2])
    np.testing.assert_allclose(found["deviation"], [1, 0])


def test_what_rises_has_a_course_of_its_deviation_and_what_falls_the_opposite():
    rising = np.linspace(0, 3, 12)
    found = pooled(np.stack([rising, -rising, np.ones(12)], axis=1))
    np.testing.assert_allclose(found["course"], [rising.std(), -rising.std(), 0], atol=1e-6)


def test_change_is_what_happens_between_neighbours():
    flicker, drift = np.tile([0.0, 1.0], 8), np.repeat([0.0, 1.0], 8)
    found = pooled(np.stack([flicker, drift], axis=1))
    np.testing.assert_allclose(found["deviation"], [0.5, 0.5])
    np.testing.assert_allclose(found["change"], [1, 1 / 15], rtol=1e-6)


def test_the_opening_is_apart_from_the_whole():
    tokens = np.zeros((16, 1))
    tokens[:2] = 8.0
    np.testing.assert_allclose(pooled(tokens)["opening"], [7.0])


def test_order_counts_for_course_change_and_opening_alone():
    tokens = np.random.default_rng(0).normal(size=(24, 3))
    one, other = pooled(tokens), pooled(np.random.default_rng(1).permutation(tokens))
    for name in POOLS:
        same = np.allclose(one[name], other[name], atol=1e-5)
        assert same == (name in ("mean", "deviation"))


def test_a_single_token_has_a_mean_and_nothing_else():
    found = pooled(np.array([[5.0, -1.0]]))
    np.testing.assert_allclose(found["mean"], [5, -1])
    assert not any(found[name].any() for name in POOLS if name != "mean")


def test_a_clip_without_tokens_is_nan():
    rows = stack_pooled([pool(np.ones((3, 2))), None], 2)
    assert np.isfinite(rows[0]).all()
    assert np.isnan(rows[1]).all()


def test_tokens_of_another_version_are_named_with_what_to_do():
    older, newer = pool(np.zeros((3, 2))), pool(np.zeros((3, 4)))
    with pytest.raises(DataError, match=r"tokens of 4 numbers, and others of 2.*modalities"):
        stack_pooled([older, None, newer], 2)
