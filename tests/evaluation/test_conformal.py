"""Intervals of single clips: MAPIE's numbers, kept without MAPIE, and what they promise."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from mapie.regression import ConformalizedQuantileRegressor, SplitConformalRegressor
from sklearn.base import BaseEstimator, RegressorMixin

from tiktok_virality.evaluation.conformal import (
    FEATURES,
    LEVELS,
    METHODS,
    ClipIntervals,
    LevelIntervals,
    LinearQuantile,
    PredictedClips,
    QuantileBand,
    calibrate,
    clips_needed,
    fit_quantile,
    share_interval,
)


def clips(rng, creators: int, clips_each: int = 5, of_creator: float = 0.4) -> PredictedClips:
    """Return clips whose errors grow with the disagreement of the modalities."""
    count = creators * clips_each
    disagreement = np.abs(rng.normal(0, 1, count))
    error = np.repeat(rng.normal(0, of_creator, creators), clips_each)
    error += (0.3 + disagreement) * rng.normal(0, np.sqrt(1 - of_creator**2), count)
    prediction = rng.normal(9, 1, count)
    columns = [
        prediction,
        rng.normal(2, 0.3, count),
        (rng.random(count) > 0.1).astype(float),
        rng.normal(0, 0.3, count),
        disagreement,
    ]
    return PredictedClips(features=np.stack(columns, axis=1), truth=prediction + error)


def part(examples: PredictedClips, size: int) -> PredictedClips:
    return PredictedClips(features=examples.features[:size], truth=examples.truth[:size])


class Function(RegressorMixin, BaseEstimator):
    """Any function of the features, as MAPIE wants it: written apart from the code under test."""

    def __init__(self, function):
        self.function = function
        self.is_fitted = True

    def fit(self, features, truth=None):
        return self

    def predict(self, features):
        return self.function(np.asarray(features))


@pytest.fixture(scope="module")
def corpus() -> tuple[PredictedClips, PredictedClips, PredictedClips]:
    rng = np.random.default_rng(1)
    return clips(rng, 30), clips(rng, 20), clips(rng, 40)


@pytest.fixture(scope="module")
def stored_and_loaded(corpus) -> ClipIntervals:
    fitting, calibration, _ = corpus
    text = json.dumps(calibrate(fitting, calibration).model_dump(mode="json"))
    return ClipIntervals.model_validate(json.loads(text))


@pytest.mark.parametrize("level", LEVELS)
def test_stored_split_intervals_are_those_of_mapie(corpus, stored_and_loaded, level):
    _, calibration, test = corpus
    mapie = SplitConformalRegressor(
        Function(lambda features: features[:, 0]), confidence_level=level, prefit=True
    ).conformalize(calibration.features, calibration.truth)
    _, expected = mapie.predict_interval(test.features)
    found = stored_and_loaded.apply(test.features, level, "split")
    np.testing.assert_allclose(np.stack(found, axis=1), expected[:, :, 0])


@pytest.mark.parametrize("level", LEVELS)
def test_stored_quantile_intervals_are_those_of_mapie(corpus, stored_and_loaded, level):
    fitting, calibration, test = corpus
    ends = [fit_quantile(fitting, quantile) for quantile in ((1 - level) / 2, (1 + level) / 2, 0.5)]
    mapie = ConformalizedQuantileRegressor(
        [Function(end.predict) for end in ends], confidence_level=level, prefit=True
    ).conformalize(calibration.features, calibration.truth)
    _, expected = mapie.predict_interval(test.features, symmetric_correction=True)
    chosen = next(each for each in stored_and_loaded.levels if each.level == level)
    found = chosen.bounds(test.features, "quantile")
    np.testing.assert_allclose(np.stack(found, axis=1), expected[:, :, 0])


def test_intervals_of_new_creators_hold_the_truth_as_often_as_they_say():
    """Clips of a creator are alike, so one corpus may miss by much; the mean may not."""
    rng = np.random.default_rng(2)
    held: dict[tuple[str, float], list[float]] = {}
    for _ in range(40):
        intervals = calibrate(clips(rng, 10), clips(rng, 12))
        test = clips(rng, 60)
        for method in METHODS:
            for level in LEVELS:
                lower, upper = intervals.apply(test.features, level, method)
                inside = (lower <= test.truth) & (test.truth <= upper)
                held.setdefault((method, level), []).append(float(inside.mean()))
    for (method, level), coverage in held.items():
        assert np.mean(coverage) == pytest.approx(level, abs=0.03), (method, level)


def test_quantile_intervals_are_wider_where_errors_are_larger(corpus, stored_and_loaded):
    _, _, test = corpus
    disagreement = test.features[:, FEATURES.index("disagreement")]
    widths = {}
    for method in METHODS:
        lower, upper = stored_and_loaded.apply(test.features, 0.8, method)
        widths[method] = upper - lower
    hard = disagreement > np.quantile(disagreement, 0.75)
    easy = disagreement < np.quantile(disagreement, 0.25)
    assert widths["quantile"][hard].mean() > 1.2 * widths["quantile"][easy].mean()
    np.testing.assert_allclose(widths["split"], widths["split"][0])


def test_features_without_meaning_leave_the_band_nearly_as_wide_for_every_clip():
    rng = np.random.default_rng(3)
    features = clips(rng, 60).features
    alike = PredictedClips(features=features, truth=features[:, 0] + rng.normal(size=len(features)))
    quantile = fit_quantile(alike, 0.9)
    spread = (quantile.predict(features) - features[:, 0]).std()
    assert spread < 0.2


@pytest.mark.parametrize("method", METHODS)
def test_intervals_are_finite_and_nested_far_from_all_that_was_seen(stored_and_loaded, method):
    rng = np.random.default_rng(4)
    strange = rng.normal(0, 100, (500, len(FEATURES)))
    ends = [stored_and_loaded.apply(strange, level, method) for level in LEVELS]
    assert np.isfinite(ends).all()
    for lower, upper in ends:
        assert (lower <= upper).all()
    for (lower, upper), (wider_lower, wider_upper) in pairwise(ends):
        assert (wider_lower <= lower).all()
        assert (upper <= wider_upper).all()


def test_an_interval_whose_ends_cross_is_the_point_between_them():
    def constant(value: float) -> LinearQuantile:
        return LinearQuantile(intercept=value, weights=(0.0,) * len(FEATURES))

    crossed = QuantileBand(lower=constant(3), upper=constant(5), margin=-2)
    level = LevelIntervals(level=0.5, radius=1.0, band=crossed)
    intervals = ClipIntervals(features=FEATURES, calibration_clips=9, levels=(level,))
    lower, upper = intervals.apply(np.zeros((1, len(FEATURES))), 0.5, "quantile")
    assert (lower[0], upper[0]) == (4, 4)


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_that_too_few_clips_can_give_has_no_interval(corpus, level):
    fitting, calibration, test = corpus
    enough = clips_needed(level)
    for size, there in ((enough, True), (enough - 1, False)):
        intervals = calibrate(fitting, part(calibration, size))
        for method in METHODS:
            lower, upper = intervals.apply(test.features, level, method)
            assert np.isfinite([lower, upper]).all() == there
            assert np.isnan([lower, upper]).all() != there


def test_other_levels_remain_where_one_is_missing(corpus):
    fitting, calibration, test = corpus
    intervals = calibrate(fitting, part(calibration, clips_needed(0.8)))
    assert np.isfinite(intervals.apply(test.features, 0.8, "quantile")).all()
    assert [each.radius is None for each in intervals.levels] == [False, False, True]


def test_an_unknown_level_is_named(stored_and_loaded):
    with pytest.raises(KeyError, match=r"level 0.95; there are 0.5, 0.8, 0.9"):
        stored_and_loaded.apply(np.zeros((1, len(FEATURES))), 0.95, "split")


def test_wrong_columns_and_missing_values_are_refused(corpus):
    fitting, calibration, _ = corpus
    narrow = PredictedClips(features=calibration.features[:, :3], truth=calibration.truth)
    with pytest.raises(ValueError, match=r"calibration features have the shape \[100, 3\]"):
        calibrate(fitting, narrow)
    broken = PredictedClips(features=fitting.features.copy(), truth=fitting.truth)
    broken.features[0, 0] = np.nan
    with pytest.raises(ValueError, match="fitting clips must be at least one, and every value"):
        calibrate(broken, calibration)


def test_the_interval_of_a_share_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(300):
        of_creator = rng.beta(8, 2, 18)  # shares of clips that are covered: 0.8 on average
        covered = (rng.random((18, 6)) < of_creator[:, None]).astype(float).ravel()
        _, interval = share_interval(covered, np.repeat(np.arange(18), 6))
        held += 0.8 in interval
    assert 0.92 <= held / 300 <= 1


def test_clips_of_few_creators_make_a_share_less_certain():
    covered = np.repeat([1.0, 1, 1, 1, 0], 20)
    together = share_interval(covered, np.repeat(np.arange(5), 20))[1]
    alone = share_interval(covered, np.arange(100))[1]
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_a_share_of_all_clips_of_five_creators_is_not_certain():
    share, interval = share_interval(np.ones(100), np.repeat(np.arange(5), 20))
    assert share == 1
    assert interval.high == 1
    assert 0.4 < interval.low < 0.6


def test_there_is_no_share_of_nothing():
    with pytest.raises(ValueError, match="no clips"):
        share_interval(np.empty(0), np.empty(0))
