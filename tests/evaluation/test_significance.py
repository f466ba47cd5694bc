"""P-values hold their level with few creators, and many questions cost something."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tiktok_virality.evaluation.significance import ClusterSignFlips, holm, least_p_value


def equally_good(rng, creators: int):
    """Return truth, two models of one quality, and creators with clips that err together."""
    clusters = np.repeat(np.arange(creators), rng.integers(2, 10, creators))
    truth = rng.normal(10, 1, len(clusters))
    models = [
        truth + rng.normal(0, 0.7, creators)[clusters] + rng.normal(0, 1, len(clusters))
        for _ in range(2)
    ]
    return truth, *models, clusters


@pytest.mark.parametrize("creators", [6, 10, 40])
def test_equally_good_models_are_seldom_told_apart(creators):
    rng = np.random.default_rng(creators)
    trials = 400
    rejected = sum(
        ClusterSignFlips(flips=1000, seed=trial).p_value(*equally_good(rng, creators)) <= 0.05
        for trial in range(trials)
    )
    assert rejected / trials == pytest.approx(0.05, abs=0.03)


def test_taking_clips_for_independent_finds_differences_that_are_not_there():
    rng = np.random.default_rng(1)
    trials, rejected = 200, 0
    for trial in range(trials):
        clusters = np.repeat(np.arange(8), 30)
        truth = np.zeros(len(clusters))
        ours, theirs = (rng.normal(0, 1, 8)[clusters] for _ in range(2))
        alone = np.arange(len(clusters))
        test = ClusterSignFlips(flips=500, seed=trial)
        rejected += test.p_value(truth, ours, theirs, alone) <= 0.05
        assert test.p_value(truth, ours, theirs, clusters) >= least_p_value(8)
    assert rejected / trials > 0.4


def test_few_creators_are_flipped_in_every_way_there_is():
    rng = np.random.default_rng(3)
    truth, ours, theirs, clusters = equally_good(rng, 5)
    gains = (theirs - truth) ** 2 - (ours - truth) ** 2
    sums = np.bincount(clusters, weights=gains)
    totals = [np.dot(signs, sums) for signs in product((1, -1), repeat=5)]
    expected = np.mean(np.abs(totals) >= abs(sums.sum()) - 1e-12)
    found = ClusterSignFlips(flips=1000, seed=0).p_value(truth, ours, theirs, clusters)
    assert found == pytest.approx(expected)


def test_a_model_that_is_better_for_every_creator_reaches_the_least_p_value():
    clusters = np.repeat(np.arange(7), 3)
    truth = np.arange(21.0)
    found = ClusterSignFlips(flips=1000, seed=0).p_value(truth, truth + 0.1, truth + 1, clusters)
    assert found == pytest.approx(least_p_value(7)) == pytest.approx(2 / 128)


def test_random_flips_follow_from_the_seed_and_never_give_zero():
    clusters = np.arange(60)
    truth = np.zeros(60)
    rng = np.random.default_rng(5)
    ours, theirs = rng.normal(0, 1, 60), rng.normal(0, 1.1, 60)
    first, same, other = (
        ClusterSignFlips(flips=500, seed=seed).p_value(truth, ours, theirs, clusters)
        for seed in (1, 1, 2)
    )
    assert first == same != other
    assert ClusterSignFlips(flips=500, seed=1).p_value(truth, truth, truth + 1, clusters) > 0


def test_one_creator_and_equal_models_prove_nothing():
    test = ClusterSignFlips(flips=100, seed=0)
    truth = np.arange(6.0)
    assert test.p_value(truth, truth, truth + 1, ["a"] * 6) == 1
    assert test.p_value(truth, truth + 1, truth + 1, list("aabbcc")) == 1


def test_clusters_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"shape \[2\] and must have \[3\]"):
        ClusterSignFlips(flips=100, seed=0).p_value([1.0, 2, 3], [1.0, 2, 3], [1.0, 2, 3], [1, 2])


def test_holms_correction_multiplies_the_least_most_and_never_reverses_an_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([0.02]) == pytest.approx([0.02])
    assert holm([]) == []
