"""The pace of a clip: cuts are counted, motion is measured, and sampling changes neither much."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tiktok_virality.demo.clip_plan import ClipPlan, clip_plans
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.planting import plan_clips
from tiktok_virality.demo.scenes import draw_frames
from tiktok_virality.media.pace import PACE, clip_pace

DETAIL = 10
"""Pixels of the canvas to one of the sample."""


@pytest.fixture(scope="module")
def plans() -> list[ClipPlan]:
    """Clips that differ in cuts and motion; their camera is still, their objects are alike."""
    clips = plan_clips(DemoParameters(clips=12, creators=4, max_seconds=6.0), seed=2)
    alike = {"shape": "circle", "objects": 6, "object_size": 0.12, "backdrop": "checks"}
    still = {"shake": 0.0, "zoom": 0.0, "opening": 0.0, "brightening": 0.0, "texture_scale": 0.2}
    usual = {"contrast": 1.0, "brightness": 0.5, "saturation": 0.5, "first_cut_share": 0.5}
    return [plan.model_copy(update={**alike, **still, **usual}) for plan in clip_plans(clips)]


@cache
def drawn(plan: ClipPlan) -> np.ndarray:
    """Return every frame of a clip, uint8 [T, 3, H, W]."""
    return np.stack([frame[::DETAIL, ::DETAIL].transpose(2, 0, 1) for frame in draw_frames(plan)])


def pace_of(plan: ClipPlan, every_nth: int = 5) -> np.ndarray:
    frames = drawn(plan)[::every_nth]
    return clip_pace(frames, np.arange(len(frames)) * every_nth / plan.fps)


def test_the_mean_over_frames_is_the_number_of_cuts_per_second(plans):
    measured = [pace_of(plan)[:, 0].mean() for plan in plans]
    np.testing.assert_allclose(measured, [plan.cuts_per_second for plan in plans], rtol=0.2)


def test_faster_shapes_are_displaced_more(plans):
    speeds = [plan.motion_speed for plan in plans]
    motion = [pace_of(plan)[:, 1].mean() for plan in plans]
    assert np.corrcoef(speeds, motion)[0, 1] > 0.9


def test_sampling_twice_as_densely_finds_the_same_cuts(plans):
    for plan in plans[:6]:
        sparse, dense = (pace_of(plan, every_nth)[:, 0].mean() for every_nth in (6, 3))
        assert sparse == pytest.approx(dense, rel=0.25)


def test_a_still_picture_has_no_pace_and_a_single_frame_neither():
    still = np.full((5, 3, 8, 6), 90, np.uint8)
    assert not clip_pace(still, np.arange(5.0)).any()
    assert clip_pace(still[:1], np.zeros(1)).shape == (1, len(PACE))


def test_a_cut_is_no_motion():
    frames = np.zeros((6, 3, 8, 6), np.uint8)
    frames[3:] = 255
    pace = clip_pace(frames, np.arange(6) / 2)
    assert pace[3].tolist() == [2.0, 0.0]
    assert pace[:, 0].mean() == pytest.approx(2 / 5)
