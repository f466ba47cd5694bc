"""Metrics are those of scikit-learn and SciPy, over the whole split."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from tiktok_virality.evaluation.metrics import METRICS, regression_metrics, resampled_metrics


@pytest.fixture(params=[2, 7, 200], ids=lambda n: f"{n} clips")
def clips(request):
    rng = np.random.default_rng(request.param)
    truth = rng.normal(10, 2, request.param)
    return truth, 0.4 * truth + 6 + rng.normal(0, 1, request.param)


def test_metrics_are_those_of_scikit_learn_and_scipy(clips):
    truth, predicted = clips
    thousands = np.expm1(truth) / 1000, np.expm1(predicted) / 1000
    assert regression_metrics(truth, predicted) == pytest.approx(
        {
            "n": len(truth),
            "mse": reference.mean_squared_error(truth, predicted),
            "rmse": reference.root_mean_squared_error(truth, predicted),
            "mae": reference.mean_absolute_error(truth, predicted),
            "r2": reference.r2_score(truth, predicted),
            "spearman": stats.spearmanr(truth, predicted).statistic,
            "pearson": stats.pearsonr(truth, predicted).statistic,
            "mse_views": reference.mean_squared_error(*thousands),
            "mae_views": reference.mean_absolute_error(*thousands),
        }
    )


def test_equal_predictions_share_their_middle_rank():
    truth = np.array([5.0, 6, 6, 7, 9, 9, 12])
    predicted = np.array([5.0, 5, 8, 8, 8, 10, 9])
    expected = stats.spearmanr(truth, predicted).statistic
    assert regression_metrics(truth, predicted)["spearman"] == pytest.approx(expected)


@pytest.mark.parametrize("constant", [0.0, 9.1, 10.123456789])
def test_the_correlation_with_a_constant_does_not_exist(constant):
    truth = np.linspace(5, 15, 31)
    metrics = regression_metrics(truth, np.full(31, constant))
    assert np.isnan([metrics["spearman"], metrics["pearson"]]).all()
    assert np.isfinite([metrics["mse"], metrics["r2"]]).all()


def test_r2_of_a_constant_truth_does_not_exist():
    assert np.isnan(regression_metrics([7.7, 7.7, 7.7], [7.0, 8.0, 9.0])["r2"])


def test_errors_in_views_count_thousands():
    metrics = regression_metrics([np.log1p(5000)], [np.log1p(2000)])
    assert (metrics["mae_views"], metrics["mse_views"]) == pytest.approx((3, 9))


def test_a_resample_has_the_metrics_of_its_clips_written_out():
    rng = np.random.default_rng(5)
    truth, predicted = rng.normal(10, 2, 12).round(1), rng.normal(10, 2, 12).round(1)
    counts = rng.integers(0, 4, (20, 12))
    resampled = resampled_metrics(truth, predicted, counts.astype(float))
    for index, held in enumerate(counts):
        expected = regression_metrics(np.repeat(truth, held), np.repeat(predicted, held))
        assert {name: resampled[name][index] for name in METRICS} == pytest.approx(
            {name: expected[name] for name in METRICS}
        )


@pytest.mark.parametrize(
    ("truth", "predicted", "complaint"),
    [
        ([], [], "at least 1"),
        ([1.0, 2.0], [1.0], r"\[2\] and \[1\]"),
        ([1.0, 2.0], [1.0, float("nan")], r"y_pred\[1\] is nan"),
        ([float("inf"), 2.0], [1.0, 2.0], r"y_true\[0\] is inf"),
    ],
)
def test_what_cannot_be_measured_is_refused(truth, predicted, complaint):
    with pytest.raises(ValueError, match=complaint):
        regression_metrics(truth, predicted)
