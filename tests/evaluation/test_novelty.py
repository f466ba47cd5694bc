"""Clips unlike the training clips are told from usual ones, and usual ones are rarely flagged."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import LocalOutlierFactor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tiktok_virality.datasets import ArrayArchive
from tiktok_virality.evaluation.novelty import (
    Neighbourhood,
    NoveltyModel,
    fit_novelty,
    flags_possible,
    separation,
)
from tiktok_virality.evaluation.unlike_clips import ALTERATIONS

SIZE = 12
MIX = np.random.default_rng(0).normal(size=(4, SIZE))


def clips(rng, count: int, silent: float = 0.1) -> dict[str, np.ndarray]:
    """Return pooled embeddings that lie near a plane, as those of real clips do."""
    visual = rng.normal(size=(count, 4)) @ MIX + rng.normal(0, 0.2, (count, SIZE))
    audio = rng.normal(5, 2, (count, 3))
    audio[rng.random(count) < silent] = np.nan
    return {"visual": visual, "audio": audio}


@pytest.fixture(scope="module")
def model() -> NoveltyModel:
    rng = np.random.default_rng(1)
    return fit_novelty(clips(rng, 200), clips(rng, 80), neighbours=5)


def test_usual_clips_are_flagged_about_as_often_as_promised():
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(15):
        fitted = fit_novelty(clips(rng, 150), clips(rng, 60), neighbours=5)
        p_values = fitted.p_values(fitted.distances(clips(rng, 200)))
        shares.append((p_values <= 0.05).mean())
    assert np.mean(shares) == pytest.approx(0.05, abs=0.02)


def test_clips_off_the_plane_of_usual_clips_are_flagged(model):
    rng = np.random.default_rng(3)
    unlike = clips(rng, 50) | {"visual": rng.normal(0, 2, (50, SIZE))}
    distances = model.distances(unlike)
    assert (model.p_values(distances) <= 0.05).mean() > 0.9
    assert separation(model.distances(clips(rng, 50)), distances) > 0.95


def test_an_unlike_sound_is_flagged_though_the_picture_is_usual(model):
    rng = np.random.default_rng(4)
    unlike = clips(rng, 50, silent=0) | {"audio": rng.normal(30, 2, (50, 3))}
    assert (model.p_values(model.distances(unlike)) <= 0.05).all()


def test_a_clip_without_audio_is_judged_by_its_picture(model):
    usual = clips(np.random.default_rng(5), 20, silent=0)
    picture_alone = NoveltyModel(
        training={"visual": model.training["visual"]}, neighbours=5
    ).distances(usual)
    silent = usual | {"audio": np.full((20, 3), np.nan)}
    np.testing.assert_allclose(model.distances(silent), picture_alone)
    assert (model.distances(usual) >= picture_alone).all()


def test_a_clip_of_which_nothing_is_known_has_no_distance(model):
    nothing = {"visual": np.full((1, SIZE), np.nan), "audio": np.full((1, 3), np.nan)}
    distances = model.distances(nothing)
    assert np.isnan(distances).all()
    assert np.isnan(model.p_values(distances)).all()


def test_distances_are_the_local_outlier_factors_of_scikit_learn():
    rng = np.random.default_rng(11)
    training = {"visual": clips(rng, 300, silent=0)["visual"]}
    training["visual"][:, 3] = 2.0  # a number that says nothing
    new = {"visual": clips(rng, 400)["visual"]}
    usual = make_pipeline(StandardScaler(), LocalOutlierFactor(n_neighbors=7, novelty=True))
    expected = -usual.fit(training["visual"]).score_samples(new["visual"])
    fitted = fit_novelty(training, new, neighbours=7)
    np.testing.assert_allclose(fitted.distances(new), expected, rtol=1e-9)


def test_a_stored_model_is_not_measured_again(model, monkeypatch):
    stored = NoveltyModel.from_arrays(model.to_arrays())
    monkeypatch.delattr(Neighbourhood, "of")
    assert np.isfinite(stored.distances(clips(np.random.default_rng(12), 5, silent=0))).all()


def test_a_stored_model_gives_the_same_distances(model, tmp_path):
    archive = ArrayArchive(filepath=str(tmp_path / "novelty_model.npz"))
    archive.save(model.to_arrays())
    loaded = NoveltyModel.from_arrays(archive.load())
    new = clips(np.random.default_rng(6), 30)
    np.testing.assert_array_equal(loaded.distances(new), model.distances(new))
    np.testing.assert_array_equal(
        loaded.p_values(loaded.distances(new)), model.p_values(model.distances(new))
    )


def test_the_p_value_is_the_share_of_clips_as_far_away_and_the_clip_itself():
    known = NoveltyModel(training={}, neighbours=5, calibration=np.array([1.0, 2, 2, 3]))
    np.testing.assert_allclose(known.p_values(np.array([0.5, 2, 2.5, 9])), [1, 0.8, 0.4, 0.2])


def test_nineteen_calibration_clips_can_flag_one_in_twenty_and_eighteen_cannot():
    assert flags_possible(19, 0.05)
    assert not flags_possible(18, 0.05)


def test_a_corpus_without_audio_is_judged_by_pictures_alone():
    rng = np.random.default_rng(7)
    fitted = fit_novelty(clips(rng, 50, silent=1), clips(rng, 30, silent=1), neighbours=5)
    assert list(fitted.training) == ["visual"]
    assert np.isfinite(fitted.distances(clips(rng, 10))).all()


def test_too_few_training_clips_are_refused():
    rng = np.random.default_rng(8)
    with pytest.raises(ValueError, match="needs: visual 2, audio 0"):
        fit_novelty(clips(rng, 2, silent=1), clips(rng, 10), neighbours=5)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_keeps_shape_and_type_and_leaves_the_original_alone(name):
    rng = np.random.default_rng(9)
    frames = rng.integers(0, 256, (5, 3, 8, 6), dtype=np.uint8)
    before = frames.copy()
    altered = ALTERATIONS[name](frames, rng)
    assert (altered.shape, altered.dtype) == (frames.shape, frames.dtype)
    assert not np.array_equal(altered, frames)
    np.testing.assert_array_equal(frames, before)


def test_black_and_white_keeps_brightness_and_frozen_clips_do_not_move():
    rng = np.random.default_rng(10)
    grey = np.repeat(rng.integers(0, 256, (4, 1, 8, 6), dtype=np.uint8), 3, axis=1)
    np.testing.assert_array_equal(ALTERATIONS["black and white"](grey, rng), grey)
    frozen = ALTERATIONS["frozen frame"](grey, rng)
    assert (frozen == grey[0]).all()


def test_the_nearest_training_clip_of_a_copy_is_the_clip_and_lacking_a_modality_stops_nothing():
    rng = np.random.default_rng(9)
    training = clips(rng, 60)
    ids = [f"clip {index}" for index in range(60)]
    fitted = fit_novelty(training, clips(rng, 30), neighbours=5, ids=ids)
    again = NoveltyModel.from_arrays(fitted.to_arrays())
    near = {name: rows[7] + 0.01 for name, rows in training.items()}
    nearest = again.nearest(near, 3)
    assert next(iter(nearest)) == "clip 7"
    assert list(nearest.values()) == sorted(nearest.values()) and len(nearest) == 3
    silent = near | {"audio": np.full(3, np.nan)}
    assert next(iter(again.nearest(silent, 1))) == "clip 7"
    assert fit_novelty(training, clips(rng, 30), neighbours=5).nearest(near, 3) == {}
