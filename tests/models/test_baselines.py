"""Baselines: fitted on training rows alone, saved without pickle."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tiktok_virality.models.baseline_estimators import PRIOR_CLIPS
from tiktok_virality.models.baselines import (
    SEEDED,
    PooledClips,
    baseline_names,
    fit_baseline,
    fit_baselines,
    known_to,
    load_baselines,
    save_baselines,
)

CLIPS = 60
CREATORS = np.array([f"creator {index // 3}" for index in range(CLIPS)])


@pytest.fixture(scope="module")
def clips() -> PooledClips:
    rng = np.random.default_rng(0)
    visual = rng.normal(size=(CLIPS, 10))
    audio = rng.normal(size=(CLIPS, 6))
    audio[::9] = np.nan
    metadata = rng.normal(size=(CLIPS, 4))
    metadata[::7, 2] = np.nan
    return PooledClips(
        duration=rng.normal(size=(CLIPS, 1)),
        modalities={"visual": visual, "audio": audio},
        metadata=metadata,
        creator=CREATORS,
        words=np.array(["good day", "bad day", ""] * (CLIPS // 3), dtype=object),
    )


@pytest.fixture(scope="module")
def log_views(clips) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=CLIPS)
    seen, heard = (clips.modalities[name][:, 0] for name in ("visual", "audio"))
    return 10 + 2 * seen + np.nan_to_num(heard) + 0.1 * noise


@pytest.fixture(scope="module")
def fitted(clips, log_views):
    return fit_baselines(clips, log_views, CREATORS, seed=0)


def mse(baseline, clips, log_views) -> float:
    return float(np.mean((baseline.predict(clips) - log_views) ** 2))


def test_every_baseline_is_fitted_and_finite_also_where_a_modality_is_missing(fitted, clips):
    assert list(fitted) == list(baseline_names(("visual", "audio")))
    for baseline in fitted.values():
        assert np.isfinite(baseline.predict(clips)).all(), baseline.name


def test_the_constants_are_the_training_mean_and_median(fitted, clips, log_views):
    assert fitted["training_mean"].predict(clips) == pytest.approx(log_views.mean())
    assert fitted["training_median"].predict(clips) == pytest.approx(np.median(log_views))


def test_a_ridge_finds_a_linear_effect_and_both_modalities_find_more(fitted, clips, log_views):
    constant = mse(fitted["training_mean"], clips, log_views)
    assert mse(fitted["ridge_visual"], clips, log_views) < 0.5 * constant
    assert mse(fitted["ridge"], clips, log_views) < mse(fitted["ridge_visual"], clips, log_views)


@pytest.mark.parametrize("name", ["gradient_boosting", "mlp"])
def test_boosting_and_the_mlp_find_the_effect_of_the_picture_on_other_clips(name):
    rng = np.random.default_rng(7)
    visual, audio = rng.normal(size=(300, 8)), rng.normal(size=(300, 4))
    y = 10 + 2 * visual[:, 0] + 0.3 * rng.normal(size=300)
    train, test = (
        PooledClips(
            duration=np.zeros((150, 1)),
            modalities={"visual": visual[part], "audio": audio[part]},
        )
        for part in (slice(0, 150), slice(150, 300))
    )
    baseline = fit_baseline(name, train, y[:150], np.arange(150) // 3, seed=0)
    assert mse(baseline, test, y[150:]) < 0.6 * np.var(y[150:])


def test_the_nearest_clips_tell_of_a_creator_whose_clips_look_alike_and_nothing_of_a_stranger():
    rng = np.random.default_rng(3)
    creator = np.repeat(np.arange(60), 6)
    worth = rng.normal(0, 2, 60)[creator]
    states = rng.normal(size=(60, 4))[creator] + 0.05 * rng.normal(size=(360, 4))
    y = 10 + worth + 0.3 * rng.normal(size=360)
    clips = PooledClips(duration=np.zeros((360, 1)), modalities={"visual": states})
    known = np.arange(360) % 6 < 4
    strangers = creator >= 40

    def skill(train, groups):
        model = fit_baseline("nearest", clips.choose(train), y[train], groups[train], seed=0)
        return 1 - mse(model, clips.choose(~train), y[~train]) / np.var(y[~train])

    assert skill(known, np.arange(360)) > 0.9
    assert -0.3 < skill(~strangers, creator) < 0.3  # 20 strangers: chance has its part


def test_a_ridge_on_words_finds_the_word_that_counts_in_any_script():
    rng = np.random.default_rng(5)
    counts = rng.uniform(size=200) < 0.5
    others = rng.choice(["sofa cat", "la luna", "ciel bleu"], 200)
    y = 10 + 2 * counts + 0.3 * rng.normal(size=200)
    for word in ("tomato", "番茄"):
        words = np.array([f"{o} {word}" if c else o for o, c in zip(others, counts, strict=True)])
        clips = PooledClips(duration=np.zeros((200, 1)), modalities={}, words=words)
        train, test = np.arange(120), np.arange(120, 200)
        model = fit_baseline("tfidf", clips.choose(train), y[train], train // 3, seed=0)
        assert mse(model, clips.choose(test), y[test]) < 0.3 * np.var(y[test])


def test_without_any_word_a_ridge_on_words_is_the_mean(log_views):
    clips = PooledClips(duration=np.zeros((CLIPS, 1)), modalities={})
    model = fit_baseline("tfidf", clips, log_views, CREATORS, seed=0)
    assert model.predict(clips) == pytest.approx(log_views.mean())


def test_what_a_baseline_knows_follows_from_what_it_reads():
    assert known_to("ridge_sound") == "sound"
    assert known_to("ridge") == known_to("mlp") == "all"
    assert known_to("tfidf") == "words"
    assert known_to("duration") == known_to("metadata_boosting") == "metadata"
    assert known_to("creator_history") == known_to("training_mean") == "none"


def test_a_creators_history_is_the_mean_of_their_clips_drawn_towards_the_mean_of_all():
    rng = np.random.default_rng(2)
    counts = np.array([1, 2, 4, 8, 16, 16, 16, 16])
    creators = np.repeat([f"creator {i}" for i in range(8)], counts)
    y = np.repeat(rng.normal(10, 2, 8), counts) + rng.normal(0, 1, counts.sum())
    model = fit_baseline("creator_history", of_creators(creators), y, creators, seed=0)
    asked = of_creators(np.array([f"creator {i}" for i in range(8)] + ["a stranger"]))
    means = np.array([y[creators == f"creator {i}"].mean() for i in range(8)])
    ridge = model.estimator.regressor_[-1]
    drawn = (counts * means + ridge.alpha * y.mean()) / (counts + ridge.alpha)
    np.testing.assert_allclose(model.predict(asked), [*drawn, y.mean()], rtol=1e-6)
    assert ridge.alpha in PRIOR_CLIPS
    assert ridge.alpha < 10  # creators differ twice as much as their clips do


def test_creators_who_do_not_differ_have_no_history():
    creators = np.repeat([f"creator {i}" for i in range(30)], 4)
    y = np.random.default_rng(4).normal(10, 1, 120)
    model = fit_baseline("creator_history", of_creators(creators), y, creators, seed=0)
    assert model.predict(of_creators(creators)).std() < 0.1


def of_creators(creators: np.ndarray) -> PooledClips:
    nothing = np.zeros((len(creators), 1))
    return PooledClips(duration=nothing, modalities={}, creator=creators)


def test_a_modality_that_no_clip_has_and_few_clips_stop_no_baseline():
    rng = np.random.default_rng(1)
    clips = PooledClips(
        duration=rng.normal(size=(6, 1)),
        modalities={"visual": rng.normal(size=(6, 10)), "audio": np.full((6, 2), np.nan)},
    )
    for baseline in fit_baselines(clips, rng.normal(size=6), np.arange(6) // 3, seed=0).values():
        assert np.isfinite(baseline.predict(clips)).all(), baseline.name


@pytest.mark.parametrize("name", ["ridge_visual", "gradient_boosting", "nearest", "tfidf", "mlp"])
def test_fitting_twice_predicts_the_same_and_only_the_mlp_follows_the_seed(
    name, fitted, clips, log_views
):
    again, other = (fit_baseline(name, clips, log_views, CREATORS, seed=seed) for seed in (0, 1))
    before = fitted[name].predict(clips)
    np.testing.assert_array_equal(again.predict(clips), before)
    assert np.array_equal(other.predict(clips), before) == (name not in SEEDED)


@pytest.mark.parametrize("name", baseline_names(("visual", "audio")))
def test_what_some_clips_have_chosen_stays_when_others_teach(name, fitted, clips, log_views):
    upside_down = log_views.max() - log_views[::-1]
    like = fit_baselines(clips, upside_down, CREATORS, 0, [name], fitted)[name]
    before, after = (_settings(each) for each in (fitted[name], like))
    assert after == before
    same = fit_baselines(clips, log_views, CREATORS, 0, [name], fitted)[name]
    np.testing.assert_allclose(same.predict(clips), fitted[name].predict(clips))


def _settings(baseline) -> dict[str, object]:
    """Return what folds may choose of a baseline."""
    last = baseline.estimator
    last = last[-1] if hasattr(last, "steps") else last
    chosen = r"alpha|n_neighbors|max_iter"
    return {name: value for name, value in last.get_params().items() if re.search(chosen, name)}


def test_saved_baselines_predict_the_same_and_hold_no_pickle(fitted, clips, tmp_path):
    save_baselines(fitted, tmp_path)
    loaded = load_baselines(tmp_path)
    for name, baseline in fitted.items():
        np.testing.assert_array_equal(loaded[name].predict(clips), baseline.predict(clips))
    assert {path.suffix for path in tmp_path.iterdir()} == {".skops", ".json"}
