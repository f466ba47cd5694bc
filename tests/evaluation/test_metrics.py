"""Metrics are those of scikit-learn and SciPy, over the whole split."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from tiktok_virality.evaluation.metrics import (
    METRICS,
    Yardstick,
    classes_of,
    regression_metrics,
    resampled_metrics,
)

YARDSTICK = Yardstick(mean=9.5, median=9.7, class_edges=(8.6, 10.0, 11.2))
OF_TRAINING = ("skill_mean", "skill_median", "macro_f1", "ordinal_correlation")


@pytest.fixture(params=[2, 7, 200], ids=lambda n: f"{n} clips")
def clips(request):
    rng = np.random.default_rng(request.param)
    truth = rng.normal(10, 2, request.param)
    return truth, 0.4 * truth + 6 + rng.normal(0, 1, request.param)


def test_metrics_are_those_of_scikit_learn_and_scipy(clips):
    truth, predicted = clips
    thousands = np.expm1(truth) / 1000, np.expm1(predicted) / 1000
    classes = [classes_of(values, YARDSTICK.class_edges) for values in clips]
    mean, median = np.full(len(truth), 9.5), np.full(len(truth), 9.7)
    assert regression_metrics(truth, predicted, YARDSTICK) == pytest.approx(
        {
            "n": len(truth),
            "mse": reference.mean_squared_error(truth, predicted),
            "rmse": reference.root_mean_squared_error(truth, predicted),
            "mae": reference.mean_absolute_error(truth, predicted),
            "r2": reference.r2_score(truth, predicted),
            "nmse": reference.mean_squared_error(truth, predicted) / np.var(truth),
            "skill_mean": 1
            - reference.mean_squared_error(truth, predicted)
            / reference.mean_squared_error(truth, mean),
            "skill_median": 1
            - reference.mean_absolute_error(truth, predicted)
            / reference.mean_absolute_error(truth, median),
            "macro_f1": reference.f1_score(*classes, average="macro"),
            "ordinal_correlation": stats.kendalltau(*classes).statistic,
            "spearman": stats.spearmanr(truth, predicted).statistic,
            "pearson": stats.pearsonr(truth, predicted).statistic,
            "mse_views": reference.mean_squared_error(*thousands),
            "mae_views": reference.mean_absolute_error(*thousands),
        },
        nan_ok=True,
    )


def test_a_training_constant_has_no_skill_and_a_perfect_model_has_all():
    truth = np.random.default_rng(3).normal(10, 2, 40)
    yardstick = Yardstick.of(truth + 0.5)
    of_mean = regression_metrics(truth, np.full(40, yardstick.mean), yardstick)
    of_median = regression_metrics(truth, np.full(40, yardstick.median), yardstick)
    perfect = regression_metrics(truth, truth, yardstick)
    assert of_mean["skill_mean"] == pytest.approx(0)
    assert of_mean["r2"] < -0.01  # the mean of the test clips, which R2 compares with, is not known
    assert of_median["skill_median"] == pytest.approx(0)
    assert [perfect[name] for name in OF_TRAINING] == pytest.approx([1, 1, 1, 1])


def test_without_a_training_split_nothing_is_said_of_skill_and_classes():
    metrics = regression_metrics([8.0, 9.0, 11.0], [9.0, 9.5, 10.0])
    assert {name for name, value in metrics.items() if np.isnan(value)} == set(OF_TRAINING)


def test_a_scale_without_views_has_no_errors_in_views():
    scores = Yardstick(mean=1.5, median=1.5, class_edges=(0.5, 1.5, 2.5), log_views=False)
    metrics = regression_metrics([0.0, 1, 2, 3], [0.4, 1.2, 1.4, 2.9], scores)
    assert np.isnan([metrics["mse_views"], metrics["mae_views"]]).all()
    assert metrics["macro_f1"] == pytest.approx(
        reference.f1_score([0, 1, 2, 3], [0, 1, 1, 3], average="macro")
    )
    assert metrics["ordinal_correlation"] == pytest.approx(
        stats.kendalltau([0, 1, 2, 3], [0, 1, 1, 3]).statistic
    )


def test_classes_are_parted_by_the_training_quartiles():
    edges = Yardstick.of(np.arange(1.0, 102.0)).class_edges
    assert edges == (26.0, 51.0, 76.0)
    assert classes_of([25.9, 26.0, 50.0, 51.0, 99.0, 500.0], edges).tolist() == [0, 1, 1, 2, 3, 3]


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
    resampled = resampled_metrics(truth, predicted, counts.astype(float), YARDSTICK)
    for index, held in enumerate(counts):
        expected = regression_metrics(np.repeat(truth, held), np.repeat(predicted, held), YARDSTICK)
        assert {name: resampled[name][index] for name in METRICS} == pytest.approx(
            {name: expected[name] for name in METRICS}, nan_ok=True
        )
        assert np.isfinite([expected[name] for name in OF_TRAINING]).all()


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
