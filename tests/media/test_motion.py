"""What moves: cuts are counted, and the motion of the camera is told from that of things."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tiktok_virality.demo.clip_plan import ClipPlan, clip_plans
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.planting import plan_clips
from tiktok_virality.demo.scenes import draw_frames
from tiktok_virality.media.frames import FrameTensor
from tiktok_virality.media.motion import (
    STEP,
    MotionSampling,
    describe_motion,
    find_cuts,
    measure_steps,
)

DETAIL = 5
"""Pixels of the canvas to one of the sample."""


@pytest.fixture(scope="module")
def plans() -> list[ClipPlan]:
    """Clips that differ in cuts and motion; their camera is still, their objects are alike."""
    clips = plan_clips(
        DemoParameters(clips=12, creators=4, min_seconds=4.0, max_seconds=6.0), seed=2
    )
    alike = {"shape": "circle", "objects": 6, "object_size": 0.12, "backdrop": "checks"}
    still = {"shake": 0.0, "zoom": 0.0, "opening": 0.0, "brightening": 0.0, "texture_scale": 0.2}
    usual = {"contrast": 1.0, "brightness": 0.5, "saturation": 0.5, "first_cut_share": 0.5}
    return [plan.model_copy(update={**alike, **still, **usual}) for plan in clip_plans(clips)]


@cache
def sampled(plan: ClipPlan, apart_seconds: float = 0.1) -> FrameTensor:
    """Return frames of a clip as they are shown, without encoding."""
    frames = [frame[::DETAIL, ::DETAIL].transpose(2, 0, 1) for frame in draw_frames(plan)]
    seconds = np.arange(len(frames)) / plan.fps
    kept = MotionSampling(apart_seconds=apart_seconds).indices(seconds)
    pixels = np.stack([frames[place] for place in kept])
    return FrameTensor(pixels=pixels, timestamps_seconds=seconds[kept].astype(np.float32))


def column(steps: np.ndarray, name: str) -> np.ndarray:
    return steps[:, STEP.index(name)]


def moving(shifts: np.ndarray, seed: int = 0) -> FrameTensor:
    """Return a picture with details that is moved by so many pixels from frame to frame."""
    rng = np.random.default_rng(seed)
    wall = np.kron(rng.integers(0, 256, (60, 60, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
    places = 60 + np.cumsum([[0, 0], *shifts], axis=0)
    frames = [wall[y : y + 128, x : x + 72].transpose(2, 0, 1) for x, y in places]
    seconds = np.arange(len(frames), dtype=np.float32) / 10
    return FrameTensor(pixels=np.stack(frames), timestamps_seconds=seconds)


def test_cuts_are_counted(plans):
    for plan in plans:
        frames = sampled(plan)
        cuts = find_cuts(measure_steps(frames), np.diff(frames.timestamps_seconds)).sum()
        assert cuts == pytest.approx(plan.cuts_per_second * plan.duration_seconds, abs=1)


def test_faster_shapes_move_faster_of_their_own(plans):
    own = [np.median(column(measure_steps(sampled(plan)), "own_speed")) for plan in plans]
    assert np.corrcoef([plan.motion_speed for plan in plans], own)[0, 1] > 0.9


def test_a_speed_hangs_on_no_sampling(plans):
    for plan in plans[:4]:
        fine, coarse = (
            np.median(column(measure_steps(sampled(plan, apart)), "speed")) for apart in (0.1, 0.2)
        )
        assert fine == pytest.approx(coarse, rel=0.4)


def test_a_pan_is_the_cameras_and_nothing_elses():
    steps = measure_steps(moving(np.array([[-3, 0]] * 5)))
    np.testing.assert_allclose(column(steps, "pan_x"), 30 / 128, rtol=0.15)
    assert np.abs(column(steps, "pan_y")).max() < 0.03
    assert column(steps, "own_speed").max() < 0.05
    assert not find_cuts(steps, np.full(5, 0.1)).any()


def test_a_zoom_is_a_zoom():
    import cv2

    wall = moving(np.zeros((0, 2))).pixels[0].transpose(1, 2, 0)
    frames = []
    for scale in 1.03 ** np.arange(1, 7):
        turn = cv2.getRotationMatrix2D((35.5, 63.5), 0, scale)
        frames.append(cv2.warpAffine(wall, turn, (72, 128)).transpose(2, 0, 1))
    seconds = np.arange(6, dtype=np.float32) / 10
    steps = measure_steps(FrameTensor(pixels=np.stack(frames), timestamps_seconds=seconds))
    np.testing.assert_allclose(column(steps, "zoom"), 0.3, rtol=0.25)
    assert np.abs(column(steps, "turn")).max() < 0.05


def test_a_shaking_camera_is_told_from_a_steady_pan():
    shaking = moving(np.array([[4, 0], [-4, 0]] * 5))
    steady = moving(np.array([[4, 0]] * 10))
    jerks = [
        describe_motion(measure_steps(frames), frames.timestamps_seconds, 0.5).values[1:, 7].mean()
        for frames in (shaking, steady)
    ]
    assert jerks[0] > jerks[1] + 1


def test_a_still_picture_does_not_move_and_a_single_frame_has_a_token():
    still = moving(np.zeros((4, 2), int))
    steps = measure_steps(still)
    assert column(steps, "speed").max() < 1e-3
    one = FrameTensor(pixels=still.pixels[:1], timestamps_seconds=still.timestamps_seconds[:1])
    motion = describe_motion(measure_steps(one), one.timestamps_seconds, 0.5)
    assert motion.values.shape == (1, sum(motion.parts))
    assert not motion.values.any()


def test_tokens_cover_the_clip_and_slides_are_cuts():
    colours = [(200, 30, 30), (20, 180, 40), (30, 30, 220), (240, 240, 60)]
    pixels = np.stack([np.broadcast_to(np.uint8(c)[:, None, None], (3, 64, 36)) for c in colours])
    seconds = np.arange(4, dtype=np.float32) * 2
    motion = describe_motion(
        measure_steps(FrameTensor(pixels=pixels, timestamps_seconds=seconds)), seconds, 0.5
    )
    assert len(motion.values) == 13  # frames end at 6 s, in the last window
    assert motion.values[:, 0].sum() * 0.5 == 3


def test_times_decide_which_frames_are_compared():
    sampling = MotionSampling(apart_seconds=0.1)
    assert sampling.indices(np.arange(10) / 30) == [0, 3, 6, 9]
    assert sampling.indices(np.arange(4) / 25) == [0, 3]
    assert sampling.indices(np.arange(3) * 2.0) == [0, 1, 2]
    assert sampling.indices(np.zeros(0)) == []
