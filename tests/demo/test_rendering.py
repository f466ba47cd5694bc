"""Rendered clips are real files: codecs, sizes, sound, and the planted motion to be seen."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from tiktok_virality.demo.clip_plan import ClipPlan, clip_plans
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.factors import BACKDROPS
from tiktok_virality.demo.planting import plan_clips
from tiktok_virality.demo.renderer import ClipRenderer, render_items
from tiktok_virality.demo.scenes import draw_wall
from tiktok_virality.media.audio import decode_audio, peak_dbfs
from tiktok_virality.media.frames import FrameSampling, sample_frames
from tiktok_virality.schema import MediaError

pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")

SMALL = DemoParameters(clips=256, creators=8, heights=(256,), min_seconds=4.0, max_seconds=4.0)


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    return plan_clips(SMALL, seed=2)


def render(plans: list[ClipPlan], folder: Path) -> list[Path]:
    renderer = ClipRenderer()
    renderer.setup()
    paths = []
    for outcome in renderer(render_items(plans)):
        path = folder / f"{outcome.video_id}.mp4"
        path.write_bytes(outcome.columns["video"])
        paths.append(path)
    return paths


def first(clips: pd.DataFrame, **wanted: str) -> ClipPlan:
    chosen = clips[(clips[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    return clip_plans(chosen.head(1))[0]


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_clip_is_what_its_plan_says(clips, codec, tmp_path):
    plan = first(clips, codec=codec, sound="speech")
    [path] = render([plan], tmp_path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == codec
        assert (stream.width, stream.height) == (plan.width, plan.height)
        assert stream.average_rate == plan.fps
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == plan.frame_count
    assert peak_dbfs(decode_audio(path)) == pytest.approx(plan.loudness_db, abs=2)


def test_a_silent_clip_has_no_audio_track(clips, tmp_path):
    silent = next(name for name in clips["sound"].unique() if name not in ("speech", "music"))
    [path] = render([first(clips, sound=silent)], tmp_path)
    with pytest.raises(MediaError, match="no audio track"):
        decode_audio(path)


def test_the_same_plan_gives_the_same_file(clips, tmp_path):
    plan = first(clips, codec="h264", sound="speech")
    contents = [render([plan], tmp_path)[0].read_bytes() for _ in range(2)]
    assert contents[0] == contents[1]


@pytest.mark.parametrize("backdrop", BACKDROPS)
def test_a_cut_shows_another_side_of_the_same_room(clips, backdrop):
    plan = clip_plans(clips.head(1))[0].model_copy(
        update={"backdrop": backdrop, "saturation": 0.8, "contrast": 1.0, "brightness": 0.5}
    )
    rng = np.random.default_rng(1)
    first, second = (draw_wall(plan, rng, number).astype(float) for number in (0, 1))
    change = np.abs(second - first).max(axis=2)
    assert np.median(change) > 255 * 0.12
    assert abs(first.mean() - second.mean()) < 12


def test_the_planted_motion_can_be_seen_in_small_sparse_frames(clips, tmp_path):
    plan = first(clips, sound="none").model_copy(update={"shake": 0.0, "opening": 0.0})
    plans = [
        plan.model_copy(update={"video_id": f"{speed} {seed}", "motion_speed": speed, "seed": seed})
        for speed in (0.05, 0.5)
        for seed in (1, 2, 3)
    ]
    sampling = FrameSampling(every_nth=10, shrink=32, max_frames=None)
    change = [
        np.abs(np.diff(sample_frames(path, sampling).pixels.astype(float), axis=0)).mean()
        for path in render(plans, tmp_path)
    ]
    assert max(change[:3]) < min(change[3:])
