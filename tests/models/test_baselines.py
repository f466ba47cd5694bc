"""Baselines: fitted on training rows alone, saved without pickle."""

from __future__ import annotations

import numpy as np
import pytest

from tiktok_virality.models.baselines import (
    FEATURES_OF,
    PooledClips,
    fit_baselines,
    load_baselines,
    pool_tokens,
    save_baselines,
)

CLIPS = 60


@pytest.fixture(scope="module")
def clips() -> PooledClips:
    rng = np.random.default_rng(0)
    visual = rng.normal(size=(CLIPS, 10))
    audio = rng.normal(size=(CLIPS, 6))
    audio[::9] = np.nan
    return PooledClips(duration=rng.normal(size=(CLIPS, 1)), visual=visual, audio=audio)


@pytest.fixture(scope="module")
def log_views(clips) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=CLIPS)
    return 10 + 2 * clips.visual[:, 0] + np.nan_to_num(clips.audio[:, 0]) + 0.1 * noise


@pytest.fixture(scope="module")
def fitted(clips, log_views):
    return fit_baselines(clips, log_views, np.arange(CLIPS) // 3, seed=0)


def mse(baseline, clips, log_views) -> float:
    return float(np.mean((baseline.predict(clips) - log_views) ** 2))


def test_every_baseline_is_fitted_and_finite_also_where_a_modality_is_missing(fitted, clips):
    assert list(fitted) == list(FEATURES_OF)
    for baseline in fitted.values():
        assert np.isfinite(baseline.predict(clips)).all(), baseline.name


def test_the_constants_are_the_training_mean_and_median(fitted, clips, log_views):
    assert fitted["training_mean"].predict(clips) == pytest.approx(log_views.mean())
    assert fitted["training_median"].predict(clips) == pytest.approx(np.median(log_views))


def test_a_ridge_finds_a_linear_effect_and_both_modalities_find_more(fitted, clips, log_views):
    constant = mse(fitted["training_mean"], clips, log_views)
    assert mse(fitted["ridge_visual"], clips, log_views) < 0.5 * constant
    assert mse(fitted["ridge"], clips, log_views) < mse(fitted["ridge_visual"], clips, log_views)


def test_saved_baselines_predict_the_same_and_hold_no_pickle(fitted, clips, tmp_path):
    save_baselines(fitted, tmp_path)
    loaded = load_baselines(tmp_path)
    for name, baseline in fitted.items():
        np.testing.assert_array_equal(loaded[name].predict(clips), baseline.predict(clips))
    assert {path.suffix for path in tmp_path.iterdir()} == {".skops", ".json"}


def test_pooling_is_mean_and_deviation_and_says_what_is_missing():
    tokens = np.array([[1.0, 2.0], [3.0, 2.0]])
    np.testing.assert_allclose(
        pool_tokens([tokens, None], 2), [[2, 2, 1, 0], [np.nan, np.nan, np.nan, np.nan]]
    )
