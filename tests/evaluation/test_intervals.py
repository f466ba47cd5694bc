"""Intervals hold the truth about as often as they say, and take clips of a creator together."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tiktok_virality.evaluation.intervals import ClusterJackknife
from tiktok_virality.evaluation.metrics import METRICS, Yardstick, regression_metrics

JACKKNIFE = ClusterJackknife(confidence=0.9)


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
    for _ in range(trials):
        intervals = JACKKNIFE.metric_intervals(*simulate(rng, 40, 5))
        for name in held:
            held[name] += expected[name] in intervals[name]
    for name, times in held.items():
        assert times / trials == pytest.approx(0.9, abs=0.08), name


@pytest.mark.parametrize("creators", [10, 40])
def test_intervals_of_comparisons_hold_the_truth_about_as_often_as_they_say(creators):
    rng = np.random.default_rng(creators)
    truth, predicted, _ = simulate(rng, 40_000, 5)
    expected = np.mean((truth - 10) ** 2) - np.mean((truth - predicted) ** 2)
    trials = 400
    held = 0
    for _ in range(trials):
        truth, predicted, clusters = simulate(rng, creators, 5)
        constant = np.full(len(truth), 10.0)
        held += expected in JACKKNIFE.compare(truth, predicted, constant, clusters).gain_interval
    assert held / trials == pytest.approx(0.9, abs=0.08)


def test_many_clips_of_few_creators_are_few_facts():
    rng = np.random.default_rng(2)
    truth, predicted, creators = simulate(rng, 10, 50)
    each_alone = np.arange(len(truth))

    def width(clusters) -> float:
        interval = JACKKNIFE.metric_intervals(truth, predicted, clusters)["mse"]
        return interval.high - interval.low

    assert width(creators) > 1.5 * width(each_alone)


def test_copies_of_every_clip_within_its_creator_add_no_certainty():
    rng = np.random.default_rng(3)
    truth, predicted, creators = simulate(rng, 12, 3)
    yardstick = Yardstick.of(truth + 0.3)
    once = JACKKNIFE.metric_intervals(truth, predicted, creators, yardstick)
    copies = (np.repeat(values, 3) for values in (truth, predicted, creators))
    thrice = JACKKNIFE.metric_intervals(*copies, yardstick)
    for name in METRICS:
        assert (thrice[name].low, thrice[name].high) == pytest.approx(
            (once[name].low, once[name].high)
        )


def test_a_shared_error_cancels_in_a_paired_comparison():
    rng = np.random.default_rng(4)
    truth, predicted, creators = simulate(rng, 15, 4)
    worse = predicted + 0.2 * np.sign(predicted - truth)
    compared = JACKKNIFE.compare(truth, predicted, worse, creators)
    alone = JACKKNIFE.metric_intervals(truth, predicted, creators)["mse"]
    reference = JACKKNIFE.metric_intervals(truth, worse, creators)["mse"]
    assert alone.high > reference.low
    assert compared.gain_interval.low > 0
    assert compared.skill_interval.low > 0


def test_gain_and_skill_compare_mean_squared_errors():
    truth, clusters = np.array([1.0, 2, 3, 4]), [0, 0, 1, 1]
    compared = JACKKNIFE.compare(truth, truth + 1, truth + 2, clusters)
    assert (compared.gain, compared.skill) == pytest.approx((3, 0.75))


def test_a_model_beside_itself_gains_nothing():
    truth, predicted, creators = simulate(np.random.default_rng(6), 10, 3)
    compared = JACKKNIFE.compare(truth, predicted, predicted, creators)
    assert (compared.gain, compared.gain_interval.low, compared.gain_interval.high) == (0, 0, 0)


def test_fewer_than_ten_creators_give_no_interval():
    truth, predicted, creators = simulate(np.random.default_rng(5), 9, 6)
    intervals = JACKKNIFE.metric_intervals(truth, predicted, creators, Yardstick.of(truth))
    compared = JACKKNIFE.compare(truth, predicted, truth + 1, creators)
    for interval in (*intervals.values(), compared.gain_interval, compared.skill_interval):
        assert np.isnan([interval.low, interval.high]).all()
    assert np.isfinite([compared.gain, compared.skill]).all()


def test_every_metric_of_ten_creators_has_an_interval_around_it():
    truth, predicted, creators = simulate(np.random.default_rng(5), 10, 6)
    yardstick = Yardstick.of(truth)
    intervals = JACKKNIFE.metric_intervals(truth, predicted, creators, yardstick)
    for name, value in regression_metrics(truth, predicted, yardstick).items():
        if name != "n":
            assert intervals[name].low < value < intervals[name].high, name


def test_what_does_not_exist_has_no_interval():
    truth, _, creators = simulate(np.random.default_rng(5), 10, 3)
    intervals = JACKKNIFE.metric_intervals(truth, np.full(len(truth), 10.0), creators)
    assert np.isnan(intervals["spearman"].low)
    assert np.isfinite(intervals["mse"].low)


def test_creators_who_are_all_alike_but_one_leave_r2_an_interval_of_sense():
    """Without the one who differs there is next to no variance, and no bound to R²."""
    rng = np.random.default_rng(9)
    creators = np.repeat(np.arange(12), 4)
    truth = np.where(creators == 0, rng.normal(14, 1, 48), rng.normal(10, 0.02, 48))
    interval = JACKKNIFE.metric_intervals(truth, truth + rng.normal(0, 0.3, 48), creators)["r2"]
    assert interval.low > -2
    assert interval.high <= 1


def test_a_correlation_that_may_be_anything_has_no_interval():
    truth, predicted = np.random.default_rng(11).normal(size=(2, 10))
    for confidence, said in ((0.6, True), (0.9999, False)):
        jackknife = ClusterJackknife(confidence=confidence)
        intervals = jackknife.metric_intervals(truth, predicted, np.arange(10))
        for name in ("pearson", "spearman"):
            assert np.isfinite([intervals[name].low, intervals[name].high]).all() == said
        assert np.isfinite([intervals["mse"].low, intervals["r2"].low]).all()


def test_intervals_of_metrics_stay_where_metrics_can_be():
    truth, predicted, creators = simulate(np.random.default_rng(10), 10, 2)
    yardstick = Yardstick.of(truth)
    intervals = JACKKNIFE.metric_intervals(truth, predicted, creators, yardstick)
    for name in ("mse", "mae", "rmse", "nmse", "mse_views", "macro_f1"):
        assert intervals[name].low >= 0, name
    for name in ("r2", "skill_mean", "skill_median", "macro_f1"):
        assert intervals[name].high <= 1, name
    for name in ("spearman", "pearson", "ordinal_correlation"):
        assert intervals[name].low >= -1 and intervals[name].high <= 1, name


def test_many_creators_are_weighed_in_groups_and_say_the_same():
    truth, predicted, creators = simulate(np.random.default_rng(7), 1200, 3)
    grouped = JACKKNIFE.metric_intervals(truth, predicted, creators)["mse"]
    squares = np.bincount(creators, weights=(predicted - truth) ** 2) / 3
    reach = 1.645 * squares.std() / np.sqrt(1200)
    assert grouped.high - grouped.low == pytest.approx(2 * reach, rel=0.15)


def test_intervals_of_five_thousand_clips_take_seconds():
    truth, predicted, creators = simulate(np.random.default_rng(8), 1000, 5)
    started = time.perf_counter()
    JACKKNIFE.metric_intervals(truth, predicted, creators)
    assert time.perf_counter() - started < 20


def test_clusters_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"shape \[2\] and must have \[3\]"):
        JACKKNIFE.metric_intervals([1.0, 2, 3], [1.0, 2, 3], ["a", "b"])
