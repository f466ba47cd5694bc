"""Intervals hold the truth about as often as they say, and take clips of a creator together."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from tiktok_virality.evaluation.intervals import ClusterBootstrap, expanded_tail
from tiktok_virality.evaluation.metrics import METRICS, Yardstick, regression_metrics

BOOTSTRAP = ClusterBootstrap(resamples=300, confidence=0.9, seed=1)


def simulate(rng, creators: int, clips_each: int):
    """Return log views with an effect of the creator, what a model predicts, and the creators."""
    effect = np.repeat(rng.normal(0, 0.7, creators), clips_each)
    known = rng.normal(0, 1, creators * clips_each)
    truth = 10 + effect + known + rng.normal(0, 0.8, len(known))
    return truth, 10 + 0.9 * known, np.repeat(np.arange(creators), clips_each)


def test_intervals_of_metrics_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(40)
    truth, predicted, _ = simulate(rng, 40_000, 5)
    expected = regression_metrics(truth, predicted)
    held = dict.fromkeys(("mse", "mae", "r2", "spearman", "pearson"), 0)
    trials = 200
    for trial in range(trials):
        bootstrap = replace(BOOTSTRAP, seed=trial)
        intervals = bootstrap.metric_intervals(*simulate(rng, 40, 5))
        for name in held:
            held[name] += expected[name] in intervals[name]
    for name, times in held.items():
        assert times / trials == pytest.approx(0.9, abs=0.08), name


@pytest.mark.parametrize("creators", [5, 40])
def test_intervals_of_comparisons_hold_the_truth_about_as_often_as_they_say(creators):
    rng = np.random.default_rng(creators)
    truth, predicted, _ = simulate(rng, 40_000, 5)
    expected = np.mean((truth - 10) ** 2) - np.mean((truth - predicted) ** 2)
    trials = 400
    held = 0
    for trial in range(trials):
        truth, predicted, clusters = simulate(rng, creators, 5)
        bootstrap = replace(BOOTSTRAP, seed=trial)
        constant = np.full(len(truth), 10.0)
        held += expected in bootstrap.compare(truth, predicted, constant, clusters).gain_interval
    assert held / trials == pytest.approx(0.9, abs=0.08)


def test_many_clips_of_few_creators_are_few_facts():
    rng = np.random.default_rng(2)
    truth, predicted, creators = simulate(rng, 10, 50)
    each_alone = np.arange(len(truth))

    def width(clusters) -> float:
        interval = BOOTSTRAP.metric_intervals(truth, predicted, clusters)["mse"]
        return interval.high - interval.low

    assert width(creators) > 1.5 * width(each_alone)


def test_copies_of_every_clip_within_its_creator_add_no_certainty():
    rng = np.random.default_rng(3)
    truth, predicted, creators = simulate(rng, 12, 3)
    yardstick = Yardstick.of(truth + 0.3)
    once = BOOTSTRAP.metric_intervals(truth, predicted, creators, yardstick)
    copies = (np.repeat(values, 3) for values in (truth, predicted, creators))
    thrice = BOOTSTRAP.metric_intervals(*copies, yardstick)
    for name in METRICS:
        assert (thrice[name].low, thrice[name].high) == pytest.approx(
            (once[name].low, once[name].high)
        )


def test_a_shared_error_cancels_in_a_paired_comparison():
    rng = np.random.default_rng(4)
    truth, predicted, creators = simulate(rng, 15, 4)
    worse = predicted + 0.2 * np.sign(predicted - truth)
    compared = BOOTSTRAP.compare(truth, predicted, worse, creators)
    alone = BOOTSTRAP.metric_intervals(truth, predicted, creators)["mse"]
    reference = BOOTSTRAP.metric_intervals(truth, worse, creators)["mse"]
    assert alone.high > reference.low
    assert compared.gain_interval.low > 0
    assert compared.skill_interval.low > 0


def test_gain_and_skill_compare_mean_squared_errors():
    truth, clusters = np.array([1.0, 2, 3, 4]), [0, 0, 1, 1]
    compared = BOOTSTRAP.compare(truth, truth + 1, truth + 2, clusters)
    assert (compared.gain, compared.skill) == pytest.approx((3, 0.75))


def test_a_model_beside_itself_gains_nothing():
    truth, predicted, creators = simulate(np.random.default_rng(6), 10, 3)
    compared = BOOTSTRAP.compare(truth, predicted, predicted, creators)
    assert (compared.gain, compared.gain_interval.low, compared.gain_interval.high) == (0, 0, 0)


def test_one_creator_gives_no_interval():
    intervals = BOOTSTRAP.metric_intervals([1.0, 2, 3], [1.0, 2, 4], ["a", "a", "a"])
    assert all(np.isnan([interval.low, interval.high]).all() for interval in intervals.values())


def test_what_does_not_exist_has_no_interval():
    intervals = BOOTSTRAP.metric_intervals([1.0, 2, 3], [2.0, 2, 2], ["a", "b", "c"])
    assert np.isnan(intervals["spearman"].low)
    assert np.isfinite(intervals["mse"].low)


def test_the_seed_decides_the_interval():
    truth, predicted, creators = simulate(np.random.default_rng(7), 10, 3)
    first, same, other = (
        replace(BOOTSTRAP, seed=seed).metric_intervals(truth, predicted, creators)
        for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_few_clusters_widen_the_interval_and_many_leave_it_nominal():
    assert expanded_tail(5, 0.95) < 0.01
    assert expanded_tail(100_000, 0.95) == pytest.approx(0.025, rel=1e-3)


def test_two_thousand_resamples_of_five_thousand_clips_take_seconds():
    truth, predicted, creators = simulate(np.random.default_rng(8), 1000, 5)
    started = time.perf_counter()
    replace(BOOTSTRAP, resamples=2000).metric_intervals(truth, predicted, creators)
    assert time.perf_counter() - started < 20


def test_clusters_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"shape \[2\] and must have \[3\]"):
        BOOTSTRAP.metric_intervals([1.0, 2, 3], [1.0, 2, 3], ["a", "b"])
