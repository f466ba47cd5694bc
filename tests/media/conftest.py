"""Clips of every kind that matters to decoding."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.encoding import ffmpeg, h264, hevc, picture, tone

OPEN_X264 = "open-gop=1:keyint=15:bframes=3:scenecut=0"
OPEN_X265 = "keyint=15:bframes=4:open-gop=1:scenecut=0"
UNEVEN = "select='not(mod(n,7))+not(mod(n,3))'"

CLIPS: dict[str, list[str]] = {
    "h264_b_frames.mp4": [*picture(), *h264()],
    "h264_open_gop.mp4": [*picture(), *h264(15, "-x264-params", OPEN_X264)],
    "h264_gradual_refresh.mp4": [*picture(), *h264(15, "-x264-params", "intra-refresh=1")],
    "h264_no_b_frames.mp4": [*picture(), *h264(15, "-bf", "0")],
    "hevc_closed_gop.mp4": [*picture(), *hevc("keyint=15:bframes=4:open-gop=0")],
    "hevc_open_gop.mp4": [*picture(), *hevc(OPEN_X265)],
    "vp9.webm": [*picture(), "-c:v", "libvpx-vp9", "-deadline", "realtime", "-g", "15"],
    "av1.mp4": [*picture(), "-c:v", "libsvtav1", "-preset", "12", "-g", "15"],
    "variable_rate.mp4": [*picture(4), "-vf", UNEVEN, "-fps_mode", "vfr", *h264()],
    "odd_size.mp4": [*picture(1), "-vf", "scale=145:257", *h264(15, "-pix_fmt", "yuv444p")],
    "landscape.mp4": [*picture(1, "256x144"), *h264()],
    "one_frame.mp4": [*picture(1), "-frames:v", "1", *h264()],
    "with_sound.mp4": [*picture(), *tone(), *h264(), "-c:a", "aac"],
    "silent.mp4": [*picture(), *tone(volume=0), *h264(), "-c:a", "aac"],
    "sound_only.m4a": [*tone(), "-c:a", "aac"],
}


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a clip by name, made when first asked for."""
    folder = tmp_path_factory.mktemp("clips")

    def make(name: str) -> Path:
        path = folder / name
        if not path.exists():
            ffmpeg(*CLIPS[name], path)
        return path

    return make
