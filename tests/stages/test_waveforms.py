from __future__ import annotations

import pytest

from tests.media.encoding import ffmpeg, h264, picture, tone
from tests.stages.items import item_of
from tiktok_virality.execution import Absent, Done, Failed
from tiktok_virality.stages.waveforms import WaveformExtractor


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    ffmpeg(*picture(1), *tone(1, volume=0.1), *h264(), "-c:a", "aac", folder / "loud.mp4")
    ffmpeg(*picture(1), *tone(1, volume=0), *h264(), "-c:a", "aac", folder / "silent.mp4")
    ffmpeg(*picture(1), *h264(), folder / "mute.mp4")
    (folder / "broken.mp4").write_text("no video")
    return folder


def test_a_clip_with_sound_gives_samples_and_others_the_reason_why_not(folder):
    names = ["loud", "silent", "mute", "broken"]
    loud, silent, mute, broken = WaveformExtractor()([item_of(folder / f"{n}.mp4") for n in names])
    assert isinstance(loud, Done)
    assert loud.columns["samples"].shape[0] >= 16_000
    assert silent == Absent(video_id="silent", reason="silent")
    assert mute == Absent(video_id="mute", reason="no audio track")
    assert isinstance(broken, Failed)
    assert broken.reason == "unreadable"


def test_the_threshold_of_silence_decides(folder):
    (outcome,) = WaveformExtractor(silence_dbfs=-6.0)([item_of(folder / "loud.mp4")])
    assert outcome == Absent(video_id="loud", reason="silent")


def test_the_threshold_is_part_of_the_identity():
    assert WaveformExtractor().identity() != WaveformExtractor(silence_dbfs=-50).identity()
