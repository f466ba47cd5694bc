"""Every factor can be seen or heard: two clips that differ in it alone differ as it says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from tiktok_virality.demo.clip_plan import ClipPlan, clip_plans
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.planting import plan_clips
from tiktok_virality.demo.render import render_clip
from tiktok_virality.demo.scripts import SENTENCES
from tiktok_virality.media.audio import decode_audio
from tiktok_virality.schema import SAMPLE_RATE_HZ

pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")

FPS = 12
PLAIN: dict[str, Any] = {
    "width": 288,
    "height": 512,
    "duration_seconds": 4.0,
    "fps": FPS,
    "codec": "h264",
    "gop_frames": 60,
    "motion_speed": 0.1,
    "opening": 0.0,
    "cuts_per_second": 0.25,
    "first_cut_share": 0.9,
    "backdrop": "dots",
    "texture_scale": 0.12,
    "shape": "circle",
    "objects": 5,
    "object_size": 0.08,
    "action_x": 0.5,
    "action_y": 0.5,
    "warmth": 0.5,
    "saturation": 0.5,
    "brightness": 0.5,
    "brightening": 0.0,
    "contrast": 1.0,
    "shake": 0.0,
    "zoom": 0.0,
    "screen_text": "",
    "text_size": 0.05,
    "text_place": 0.3,
    "sound": "speech",
    "script": SENTENCES["en"]["space"][0],
    "words_per_minute": 180,
    "voice": "en-us",
    "pitch": 50,
    "pause_seconds": 0.1,
    "speech_start_share": 0.5,
    "backing_music": False,
    "music_bpm": 120,
    "music_octave": 1.0,
    "loudness_db": -6.0,
    "seed": 3,
    "look": 3,
}
MUSIC = {"sound": "music", "script": ""}


class Clip(NamedTuple):
    """What was decoded: frames [T, H, W, 3] from 0 to 255, and samples at 16 kHz."""

    frames: np.ndarray
    sound: np.ndarray


@pytest.fixture(scope="module")
def plan() -> ClipPlan:
    clips = plan_clips(DemoParameters(clips=2, creators=1), seed=2)
    return clip_plans(clips)[0].model_copy(update=PLAIN)


def decoded(plan: ClipPlan, path: Path) -> Clip:
    path.write_bytes(render_clip(plan))
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return Clip(np.stack(frames).astype(np.float32), decode_audio(path))


def brightness(clip: Clip) -> float:
    return float(clip.frames.mean())


def brightening(clip: Clip) -> float:
    return float(clip.frames[-FPS // 2 :].mean() - clip.frames[: FPS // 2].mean())


def saturation(clip: Clip) -> float:
    return float(np.ptp(clip.frames[::FPS], axis=3).mean())


def warmth(clip: Clip) -> float:
    red, _, blue = clip.frames.mean(axis=(0, 1, 2))
    return float(red - blue)


def contrast(clip: Clip) -> float:
    return float(clip.frames[::FPS].mean(axis=3).std(axis=(1, 2)).mean())


def change(clip: Clip) -> float:
    return float(np.median(np.abs(np.diff(clip.frames, axis=0)).mean(axis=(1, 2, 3))))


def change_of_first_second(clip: Clip) -> float:
    steps = np.abs(np.diff(clip.frames[: 3 * FPS], axis=0)).mean(axis=(1, 2, 3))
    return float(steps[: FPS - 1].mean() / steps[FPS + 2 :].mean())


def cuts(clip: Clip) -> float:
    steps = np.abs(np.diff(clip.frames, axis=0)).mean(axis=(1, 2, 3))
    return float((steps > 4 * np.median(steps)).sum())


def fineness(clip: Clip) -> float:
    """Less its edges: how much neighbours differ along the lines of the wall above all objects."""
    return -float(np.abs(np.diff(clip.frames[::FPS, :120].mean(axis=3), axis=2)).mean())


def growth(clip: Clip) -> float:
    return fineness(Clip(clip.frames[-FPS // 2 :: 6], clip.sound)) - fineness(
        Clip(clip.frames[: FPS // 2 : 6], clip.sound)
    )


def changed_places(clip: Clip) -> np.ndarray:
    """How much each pixel changes from frame to frame, where things move, [H, W]."""
    still = clip.frames[: 3 * FPS]
    return np.abs(np.diff(still, axis=0)).mean(axis=(0, 3))


def middle_across(clip: Clip) -> float:
    moved = changed_places(clip).sum(axis=0)
    return float(moved @ np.arange(len(moved)) / moved.sum())


def middle_down(clip: Clip) -> float:
    moved = changed_places(clip).sum(axis=1)
    return float(moved @ np.arange(len(moved)) / moved.sum())


def moving_area(clip: Clip) -> float:
    return float((changed_places(clip) > 2).mean())


def white_area(clip: Clip) -> float:
    return float((clip.frames[::FPS, :440].min(axis=3) > 235).mean())


def loudness(clip: Clip) -> float:
    return float(np.log10(np.abs(clip.sound).max()))


def envelope(clip: Clip) -> np.ndarray:
    step = SAMPLE_RATE_HZ // 100
    whole = clip.sound[: len(clip.sound) // step * step]
    return np.sqrt((whole.reshape(-1, step) ** 2).mean(axis=1))


def inner_silence(clip: Clip) -> float:
    loud = np.flatnonzero(envelope(clip) > 0.02 * envelope(clip).max())
    return float(np.diff(loud).max())


def speaking_time(clip: Clip) -> float:
    loud = np.flatnonzero(envelope(clip) > 0.02 * envelope(clip).max())
    return -float(loud[-1] - loud[0])


def onsets(clip: Clip) -> float:
    rise = np.diff(envelope(clip))
    return float((rise > 0.3 * rise.max()).sum())


def middle_frequency(clip: Clip) -> float:
    power = np.abs(np.fft.rfft(clip.sound)) ** 2
    return float((power @ np.arange(len(power))) / power.sum())


def fundamental(clip: Clip) -> float:
    """Median over loud pieces of the frequency at which they repeat, from 60 to 300 Hz."""
    size, longest, shortest = 1024, SAMPLE_RATE_HZ // 60, SAMPLE_RATE_HZ // 300
    pieces = clip.sound[: len(clip.sound) // size * size].reshape(-1, size)
    power = (pieces**2).mean(axis=1)
    loud = pieces[power > 0.3 * power.max()]
    spectra = np.abs(np.fft.rfft(loud, 2 * size, axis=1)) ** 2
    repetition = np.fft.irfft(spectra, axis=1)[:, shortest:longest]
    return float(np.median(SAMPLE_RATE_HZ / (shortest + repetition.argmax(axis=1))))


def quiet_level(clip: Clip) -> float:
    return float(np.quantile(envelope(clip), 0.1))


@pytest.mark.parametrize(
    ("changed", "measure", "least"),
    [
        ({"brightness": (0.35, 0.65)}, brightness, 50),
        ({"brightening": (-0.25, 0.25)}, brightening, 60),
        ({"saturation": (0.2, 0.8)}, saturation, 30),
        ({"warmth": (0.1, 0.9)}, warmth, 30),
        ({"contrast": (0.6, 1.4)}, contrast, 10),
        ({"motion_speed": (0.05, 0.4)}, change, 0.5),
        ({"shake": (0.0, 0.02)}, change, 0.5),
        ({"opening": (0.0, 1.0)}, change_of_first_second, 0.5),
        ({"cuts_per_second": (0.25, 1.0)}, cuts, 2),
        ({"zoom": (-0.07, 0.07)}, growth, 0.1),
        ({"texture_scale": (0.06, 0.22)}, fineness, 0.3),
        ({"objects": (2, 10)}, moving_area, 0.05),
        ({"object_size": (0.05, 0.12)}, moving_area, 0.05),
        ({"action_x": (0.0, 1.0)}, middle_across, 40),
        ({"action_y": (0.0, 1.0)}, middle_down, 100),
        ({"screen_text": ("LEG DAY", "LEG DAY\nGYM TIME\nWORK OUT")}, white_area, 0.005),
        ({"loudness_db": (-18.0, -2.0)}, loudness, 0.5),
        ({"pause_seconds": (0.1, 0.7)}, inner_silence, 30),
        ({"words_per_minute": (150, 230)}, speaking_time, 20),
        ({"pitch": (20, 80)}, fundamental, 10),
        ({"backing_music": (False, True)}, quiet_level, 0.001),
        ({"music_bpm": (80, 180), **MUSIC}, onsets, 3),
        ({"music_octave": (0.2, 2.5), **MUSIC}, middle_frequency, 500),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_factor_shows_in_the_file(
    plan: ClipPlan,
    changed: dict[str, Any],
    measure: Callable[[Clip], float],
    least: float,
    tmp_path: Path,
):
    [(name, levels)] = [(k, v) for k, v in changed.items() if isinstance(v, tuple)]
    low, high = (
        measure(decoded(plan.model_copy(update={**changed, name: level}), tmp_path / "clip.mp4"))
        for level in levels
    )
    assert high - low > least
