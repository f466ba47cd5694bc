"""Measuring settings on the same frames: what each error means, shown where the answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.training.frame_study import (
    FrameErrors,
    HeldFrames,
    StudyClips,
    hold,
    measure_setting,
)
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.parameters import StudyParameters

STUDY = StudyParameters(
    every_nth=(4, 2, 1),
    shrink=(128 // 2, 32),
    seeds=1,
    steps=6,
    batch_size=2,
    learning_rate=0.01,
    stopping_share=0.3,
    autoencoder=ConvLSTMConfig(hidden=2),
)
CLIPS = StudyClips(train=["a", "b", "c", "d", "e"], stopping=["f"], measured=["g", "h"])
LENGTHS = {"g": 6, "h": 3}


def dense(value: int = 0) -> HeldFrames:
    """Clips of uniform frames, 32 x 18 pixels, whose level rises by 10 a frame."""
    ids = [*CLIPS.train, *CLIPS.stopping, *CLIPS.measured]
    levels = {i: np.arange(LENGTHS.get(i, 5)) * 10 + value for i in ids}
    return HeldFrames(
        {
            i: np.broadcast_to(each.astype(np.uint8)[:, None, None, None], (len(each), 3, 32, 18))
            for i, each in levels.items()
        }
    )


def measured(folder: Path, every_nth: int, shrink: int = 32, frames: HeldFrames | None = None):
    run = TrainingRun.of("study", [every_nth, shrink], checkpoints=folder, seed=1, device="cpu")
    return measure_setting(
        frames or dense(), CLIPS, STUDY, every_nth=every_nth, shrink=shrink, run=run
    )


def test_thinned_frames_are_the_first_and_every_nth_after_it():
    kept = dense().thinned(2, (16, 9)).pixels["g"]
    assert kept.shape == (3, 3, 16, 9)
    assert kept[:, 0, 0, 0].tolist() == [0, 20, 40]


def test_thinned_frames_are_means_over_areas():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (1, 3, 4, 4)).astype(np.uint8)
    small = HeldFrames({"a": pixels}).thinned(1, (2, 2)).pixels["a"]
    expected = pixels.reshape(1, 3, 2, 2, 2, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(small, expected, atol=0.5)


def test_every_frame_weighs_the_same_however_long_its_clip():
    errors = FrameErrors()
    errors.add(torch.ones(3, 3, 2, 2), torch.zeros(3, 3, 2, 2))
    errors.add(torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2))
    assert errors.mean == 0.75


def test_every_setting_is_trained_for_the_same_number_of_steps(tmp_path):
    rows = [measured(tmp_path, n, shrink) for n in (1, 4) for shrink in (32, 64)]
    assert [row["steps"] for row in rows] == [6] * 4
    assert rows[2]["frames_per_clip"] == 1.5
    assert rows[0]["frames_per_clip"] == 4.5
    assert [row["single_frame_share"] for row in rows] == [0, 0, 0.5, 0.5]


def test_what_needs_no_autoencoder_is_the_same_for_all_settings_on_the_same_frames(tmp_path):
    rows = [measured(tmp_path, n, shrink) for n in (1, 4) for shrink in (32, 64)]
    assert len({round(row["mean_error"], 9) for row in rows}) == 1
    assert rows[0]["own_mean_error"] != rows[2]["own_mean_error"]
    mean_level = 20 / 255
    truth = np.concatenate([np.arange(6), np.arange(3)]) * 10 / 255
    assert rows[0]["mean_error"] == pytest.approx(np.mean((truth - mean_level) ** 2), rel=1e-4)


def test_the_nearest_earlier_frame_is_right_where_it_was_kept(tmp_path):
    assert measured(tmp_path, 1)["earlier_error"] == 0
    missed = np.array([0, 10, 0, 10, 0, 10, 0, 10, 0]) / 255
    assert measured(tmp_path, 2)["earlier_error"] == pytest.approx(np.mean(missed**2), rel=1e-4)


def test_at_the_finest_setting_own_and_common_frames_are_the_same(tmp_path):
    finest = STUDY.model_copy(update={"shrink": (32,)})
    run = TrainingRun.of("study", [], checkpoints=tmp_path, seed=1, device="cpu")
    row = measure_setting(dense(), CLIPS, finest, every_nth=1, shrink=32, run=run)
    assert row["own_error"] == pytest.approx(row["common_error"], rel=1e-4)
    assert row["own_mean_error"] == pytest.approx(row["mean_error"], rel=1e-3)


def test_measured_clips_change_no_training(tmp_path):
    frames = dense()
    bright = dense(150)
    mixed = {**frames.pixels, **{i: bright.pixels[i] for i in CLIPS.measured}}
    first = measured(tmp_path / "first", 1)
    second = measured(tmp_path / "second", 1, frames=HeldFrames(mixed))
    states = [
        torch.load(next((tmp_path / name).glob("*/best.ckpt")), weights_only=True)["state_dict"]
        for name in ("first", "second")
    ]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    assert second["mean_error"] != first["mean_error"]


def test_only_clips_of_the_study_are_read():
    frames = HeldFrames({**dense().pixels, "test clip": np.zeros((1, 3, 32, 18), np.uint8)})
    assert "test clip" not in hold(frames, CLIPS)


@pytest.mark.parametrize("changes", [{"every_nth": (200, 150)}, {"shrink": (32, 16, 24)}])
def test_settings_that_share_no_frames_are_refused(changes):
    with pytest.raises(ValidationError, match="must be a multiple of the smallest"):
        StudyParameters.model_validate({**STUDY.model_dump(), **changes})
