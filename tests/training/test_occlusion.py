"""Occlusion: what is taken away, and whether the moment is found that moves the answer."""

from __future__ import annotations

import numpy as np
import pytest

from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.trained import ModelSpec, TrainedModel
from tiktok_virality.training import occlusion
from tiktok_virality.training.corpus import ClipTokens, LabelledClips
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.parameters import TrainingParameters
from tiktok_virality.training.predicting import predict_log_views
from tiktok_virality.training.predictors import train_predictor

SECONDS = 8
SIZES = {"look": 6, "voice": 4}
SHAPE = TransformerConfig(width=16, layers=1, heads=2, feedforward=32, dropout=0.1)


def clips(count: int, seed: int) -> tuple[LabelledClips, np.ndarray]:
    """Clips in one second of which something happens that moves their views, and which second."""
    rng = np.random.default_rng(seed)
    tokens, views, seconds = [], [], rng.integers(SECONDS, size=count)
    for second in seconds:
        strength = rng.normal()
        look = rng.normal(size=(2 * SECONDS, SIZES["look"])).astype(np.float32)
        look[2 * second : 2 * second + 2, 0] += 12 * strength
        voice = rng.normal(size=(SECONDS, SIZES["voice"])).astype(np.float32)
        times = {"look": np.arange(2 * SECONDS) / 2, "voice": np.arange(SECONDS) * 1.0}
        tokens.append(ClipTokens(tokens={"look": look, "voice": voice}, times=times))
        views.append(10 + 2 * strength)
    ids = [f"{seed}-{index}" for index in range(count)]
    labelled = LabelledClips(
        ids=ids,
        groups=np.asarray(ids, dtype=object),
        log_duration=np.zeros(count),
        tokens=tokens,
        log_views=np.asarray(views),
    )
    return labelled, seconds


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> TrainedModel:
    run = TrainingRun.of(
        "look", [], checkpoints=tmp_path_factory.mktemp("look"), seed=1, device="cpu"
    )
    return train_predictor(
        ModelSpec(kind="early_fusion", transformer=SHAPE, token_sizes=SIZES),
        clips(120, 0)[0],
        clips(40, 1)[0],
        TrainingParameters(epochs=2, batch_size=16, learning_rate=0.01),
        run,
    )


def strongest(model: TrainedModel, clip: ClipTokens) -> tuple[int, np.ndarray]:
    moments = occlusion.moments_of(SECONDS)
    said, effects = occlusion.effects(
        model, clip, [occlusion.without_moments(clip, [moment]) for moment in moments]
    )
    assert said == pytest.approx(predict_log_views(model, [clip])[0])
    return int(np.abs(effects).argmax()), effects


def test_the_moment_is_found_in_which_it_happens(model):
    tested, seconds = clips(40, 2)
    views = tested.log_views - 10
    clear = np.abs(views) > 1  # something does happen
    found = [strongest(model, clip)[0] for clip in tested.tokens]
    assert (np.array(found) == seconds)[clear].mean() >= 0.8
    signs = [
        np.sign(strongest(model, clip)[1][second])
        for clip, second in zip(
            np.array(tested.tokens, dtype=object)[clear], seconds[clear], strict=True
        )
    ]
    assert np.mean(signs == np.sign(views[clear])) >= 0.8


def test_a_modality_that_means_nothing_moves_less(model):
    tested, _ = clips(30, 3)
    moved = {}
    for name in SIZES:
        effects = [
            occlusion.effects(model, clip, [occlusion.without_modality(clip, name)])[1][0]
            for clip in tested.tokens
        ]
        moved[name] = np.abs(effects).mean()
    assert moved["look"] > 3 * moved["voice"]


def test_only_the_moment_changes_and_only_where_it_was_asked_for():
    (clip,) = clips(1, 4)[0].tokens
    altered = occlusion.without_moments(clip, [(2.0, 3.0)], ["look"])
    changed = (altered.tokens["look"] != clip.tokens["look"]).any(axis=1)
    assert np.flatnonzero(changed).tolist() == [4, 5]
    rest = np.delete(clip.tokens["look"], [4, 5], axis=0).mean(axis=0)
    np.testing.assert_allclose(altered.tokens["look"][4], rest, rtol=1e-6)
    np.testing.assert_array_equal(altered.tokens["voice"], clip.tokens["voice"])
    assert "look" not in occlusion.without_modality(clip, "look").tokens


def test_moments_are_seconds_and_of_long_clips_longer():
    assert occlusion.moments_of(2.4) == [(0, 1), (1, 2), (2, pytest.approx(2.4))]
    assert occlusion.moments_of(0.5) == [(0, 0.5)]
    assert occlusion.moments_of(3.0000001)[-1] == pytest.approx((2, 3), abs=1e-3)
    long = occlusion.moments_of(600)
    assert len(long) == occlusion.MOST_MOMENTS
    assert long[-1] == (590, 600)


def test_without_all_moments_every_token_is_their_mean():
    (clip,) = clips(1, 5)[0].tokens
    nothing = occlusion.without_moments(clip, occlusion.moments_of(SECONDS))
    for name, tokens in nothing.tokens.items():
        assert tokens.shape == clip.tokens[name].shape
        np.testing.assert_allclose(tokens, np.broadcast_to(tokens[0], tokens.shape))
        np.testing.assert_allclose(tokens[0], clip.tokens[name].mean(axis=0), atol=1e-6)
