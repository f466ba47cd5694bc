"""Rendered clips are real files: codecs, sizes, sound, and the planted motion to be seen."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest

from tiktok_virality.demo.clip_plan import BACKDROPS, ClipPlan, clip_plans
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.planting import plan_clips, visual_score
from tiktok_virality.demo.renderer import ClipRenderer, render_items
from tiktok_virality.demo.scenes import Look
from tiktok_virality.media.audio import decode_audio, peak_dbfs
from tiktok_virality.media.frames import FrameSampling, sample_frames
from tiktok_virality.media.pace import CUT_CHANGE
from tiktok_virality.schema import MediaError

pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")

SMALL = DemoParameters(clips=256, creators=8, heights=(256,), max_seconds=4.0)


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
    assert peak_dbfs(decode_audio(path)) > -20


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
def test_a_room_has_its_tints_by_night_and_by_day_and_every_pixel_shows_a_cut(backdrop):
    look, other = (Look.of(seed, backdrop) for seed in (1, 2))
    for wall in (look.night, look.day):
        assert wall.min() >= 0
        assert wall.max() <= 255
    np.testing.assert_allclose(tints(look.night), tints(look.day), atol=1e-3)
    assert np.abs(tints(look.night) - tints(other.night)).mean() > 20
    assert (look.day - look.night).min() > 2 * 255 * CUT_CHANGE
    np.testing.assert_array_equal(look.night, Look.of(1, backdrop).night)


def tints(wall: np.ndarray) -> np.ndarray:
    return wall - wall.mean(axis=2, keepdims=True)


def test_the_planted_motion_can_be_seen_in_small_sparse_frames(clips, tmp_path):
    order = np.argsort(visual_score(clips))
    chosen = clips.iloc[np.concatenate([order[:5], order[-5:]])]
    paths = render(clip_plans(chosen), tmp_path)
    sampling = FrameSampling(every_nth=10, shrink=32, max_frames=None)
    change = [
        np.abs(np.diff(sample_frames(path, sampling).pixels.astype(float), axis=0)).mean()
        for path in paths
    ]
    assert max(change[:5]) < min(change[5:])
