"""Copies are found through real encoders, and what merely resembles is left alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.media.encoding import ffmpeg
from tiktok_virality.demo.clip_plan import clip_plans
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.planting import plan_clips
from tiktok_virality.demo.renderer import ClipRenderer, render_items
from tiktok_virality.evaluation.duplicates import (
    duplicate_groups,
    picture_distance,
    sound_error,
)
from tiktok_virality.media.audio import decode_audio, fingerprint_waveform
from tiktok_virality.media.fingerprint import (
    ClipFingerprint,
    hash_frames,
    hash_sampling,
)
from tiktok_virality.media.frames import sample_frames
from tiktok_virality.media.limits import DuplicateParameters
from tiktok_virality.media.probe import probe_video
from tiktok_virality.schema import MediaError

pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")

SECONDS = 6.0
PARAMETERS = DuplicateParameters()
H264 = ["-c:v", "libx264", "-preset", "veryfast"]
AAC = ["-c:a", "aac"]
COPIES = {
    "smaller and poorer": ["-vf", "scale=108:192", *H264, "-crf", "34", *AAC, "-b:a", "40k"],
    "another codec": [*("-c:v", "libx265", "-preset", "ultrafast"), "-crf", "34", *AAC],
    "half a second cut off its beginning": ["-ss", "0.5", *H264, *AAC],
    "half a second cut off its end": ["-t", "5.5", *H264, *AAC],
    "brighter": ["-vf", "eq=brightness=0.12:contrast=1.1", *H264, *AAC],
    "fitted into a square": ["-vf", "pad=ih:ih:(ow-iw)/2:0", *H264, *AAC],
    "at another frame rate": ["-r", "17", *H264, *AAC],
    "with its sound encoded anew": ["-c:v", "copy", "-c:a", "libmp3lame", "-b:a", "48k"],
    "without its sound": ["-c:v", "copy", "-an"],
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five clips of the demo corpus, all of them spoken."""
    folder = tmp_path_factory.mktemp("scenes")
    parameters = DemoParameters(
        clips=12, creators=4, heights=(256,), min_seconds=SECONDS, max_seconds=SECONDS
    )
    plans = plan_clips(parameters, seed=3)
    renderer = ClipRenderer()
    renderer.setup()
    paths = []
    for outcome in renderer(render_items(clip_plans(plans[plans["sound"] == "speech"].head(5)))):
        paths.append(folder / f"{outcome.video_id}.mp4")
        paths[-1].write_bytes(outcome.columns["video"])
    return paths


@pytest.fixture(scope="module")
def groups() -> Callable[[list[Path]], list[str]]:
    def group(paths: list[Path]) -> list[str]:
        probes = pd.DataFrame([probe_video(path).__dict__ for path in paths])
        taken = [fingerprint(path) for path in paths]
        return duplicate_groups(probes, taken, PARAMETERS)

    return group


def fingerprint(path: Path) -> ClipFingerprint:
    pixels = sample_frames(path, hash_sampling(PARAMETERS.frames)).pixels
    return ClipFingerprint(picture=hash_frames(pixels), sound=sound_of(path))


def sound_of(path: Path) -> np.ndarray:
    try:
        return fingerprint_waveform(decode_audio(path))
    except MediaError:
        return np.empty(0, np.uint32)


def under(picture: str, sound: Path, target: Path, *options: str) -> Path:
    """Put the sound of a clip under another picture."""
    shown = ["-t", str(SECONDS), "-f", "lavfi", "-i", f"{picture}size=144x256:rate=15"]
    ffmpeg(*shown, "-i", sound, "-map", "0:v", "-map", "1:a", *H264, *AAC, *options, target)
    return target


def test_different_scenes_are_no_copies(scenes, groups):
    assert len(set(groups(scenes))) == len(scenes)


@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_known_though_it_is(change, scenes, groups, tmp_path):
    copies = [tmp_path / f"{number}.mkv" for number in range(2)]
    for scene, copy in zip(scenes, copies, strict=False):
        ffmpeg("-i", scene, *COPIES[change], copy)
    found = groups([*scenes, *copies])
    assert found[-2:] == found[:2]
    assert len(set(found)) == len(scenes)


def test_black_clips_with_different_sounds_are_no_copies(scenes, groups, tmp_path):
    black = [under("color=black:", scene, tmp_path / scene.name) for scene in scenes[:3]]
    assert len(set(groups(black))) == 3


def test_black_clips_with_the_same_sound_are_copies(scenes, groups, tmp_path):
    first = under("color=black:", scenes[0], tmp_path / "first.mp4")
    again = under("color=black:", scenes[0], tmp_path / "again.mp4", "-b:a", "48k", "-crf", "40")
    assert len(set(groups([first, again]))) == 1


def test_silent_black_clips_are_no_copies_of_each_other(groups, tmp_path):
    paths = []
    for size in ("144x256", "128x256"):
        paths.append(tmp_path / f"{size}.mp4")
        ffmpeg("-f", "lavfi", "-i", f"color=black:size={size}:duration=5", *H264, paths[-1])
    assert len(set(groups(paths))) == 2


def test_one_song_under_different_pictures_makes_no_copies(scenes, groups, tmp_path):
    pictures = ("testsrc2", "mandelbrot", "smptehdbars")
    paths = [under(f"{p}=", scenes[0], tmp_path / f"{p}.mp4", "-shortest") for p in pictures]
    taken = [fingerprint(path) for path in paths]
    assert sound_error(taken[0], taken[1]) < 0.02
    assert len(set(groups([scenes[0], *paths]))) == 4


def test_copies_of_copies_are_one_group():
    start = np.random.default_rng(0).integers(0, 2**64, 16, dtype=np.uint64)
    ninth_bits = np.uint64(0x1FF)
    chain = [start, start ^ ninth_bits, start ^ ninth_bits ^ (ninth_bits << np.uint64(20))]
    taken = [ClipFingerprint(picture=each, sound=np.empty(0, np.uint32)) for each in chain]
    assert picture_distance(taken[0], taken[1]) == 9
    assert picture_distance(taken[0], taken[2]) == 18
    assert len(set(duplicate_groups(unrelated(3), taken, PARAMETERS))) == 1
    assert len(set(duplicate_groups(unrelated(2), [taken[0], taken[2]], PARAMETERS))) == 2


def test_the_name_of_a_group_depends_on_no_order_and_on_nothing_outside():
    rng = np.random.default_rng(1)
    taken = [
        ClipFingerprint(
            picture=rng.integers(0, 2**64, 4, dtype=np.uint64), sound=np.empty(0, np.uint32)
        )
        for _ in range(5)
    ]
    clips = unrelated(6)
    everyone = duplicate_groups(clips, [*taken, taken[0]], PARAMETERS)
    backwards = duplicate_groups(clips[::-1], [taken[0], *taken[::-1]], PARAMETERS)
    assert everyone[0] == everyone[5]
    assert backwards[::-1] == everyone
    assert duplicate_groups(clips.iloc[[5]], [taken[0]], PARAMETERS) == [
        clips["content_hash"][5][:16]
    ]


def test_a_plain_frame_has_no_hash_and_bars_change_none():
    rng = np.random.default_rng(2)
    shown = np.kron(rng.integers(30, 256, (3, 3, 8, 8)), np.ones((1, 1, 8, 8))).astype(np.uint8)
    barred = np.zeros((3, 3, 128, 64), np.uint8)
    barred[:, :, 32:96] = shown
    np.testing.assert_array_equal(hash_frames(barred), hash_frames(shown))
    assert hash_frames(np.zeros_like(shown)).shape == (0,)
    assert hash_frames(np.full_like(shown, 200)).shape == (0,)


def test_ten_thousand_clips_take_seconds_and_every_copy_is_found():
    rng = np.random.default_rng(3)
    count, copied = 10_000, 300
    pictures = rng.integers(0, 2**64, (count, 16), dtype=np.uint64)
    flips = np.uint64(1) << rng.integers(0, 64, (3, copied, 16), dtype=np.uint64)
    pictures[-copied:] = pictures[:copied] ^ flips[0] ^ flips[1] ^ flips[2]
    sounds = rng.integers(0, 2**32, (count, 60), dtype=np.uint32)
    taken = [ClipFingerprint(picture=p, sound=s) for p, s in zip(pictures, sounds, strict=True)]
    begin = time.perf_counter()
    found = duplicate_groups(unrelated(count), taken, PARAMETERS)
    assert time.perf_counter() - begin < 60
    assert found[-copied:] == found[:copied]
    assert len(set(found)) == count - copied


def unrelated(count: int) -> pd.DataFrame:
    """Clips of the same length whose files have nothing in common."""
    hashes = [f"{7919 * number % 104_729:064}"[::-1] for number in range(count)]
    return pd.DataFrame({"content_hash": hashes, "stream_hash": hashes, "duration_seconds": 9.0})
