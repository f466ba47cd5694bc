from __future__ import annotations

import hashlib

import pytest

from tests.media.encoding import ffmpeg, h264, picture, with_codec_renamed
from tiktok_virality.media.audio import decode_audio
from tiktok_virality.media.probe import probe_video
from tiktok_virality.schema import MediaError


def test_a_probe_says_what_a_clip_holds(clip):
    path = clip("with_sound.mp4")
    probe = probe_video(path)
    assert (probe.width, probe.height, probe.rotation_degrees) == (144, 256, 0)
    assert probe.duration_seconds == pytest.approx(2.0, abs=0.01)
    assert probe.fps == pytest.approx(30, abs=0.1)
    assert (probe.video_codec, probe.audio_codec, probe.has_audio) == ("h264", "aac", True)
    assert (probe.frame_count, probe.video_streams) == (60, 1)
    assert probe.size_bytes == path.stat().st_size
    assert probe.content_hash == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_clip_without_a_track_has_no_audio_codec(clip):
    probe = probe_video(clip("hevc_open_gop.mp4"))
    assert (probe.video_codec, probe.audio_codec, probe.has_audio) == ("hevc", None, False)


def test_a_copy_in_another_container_shares_the_stream_and_not_the_content(clip, tmp_path):
    original = clip("h264_b_frames.mp4")
    remuxed = tmp_path / "copy.mkv"
    ffmpeg("-i", original, "-c", "copy", remuxed)
    first, second = probe_video(original), probe_video(remuxed)
    assert first.stream_hash == second.stream_hash
    assert first.content_hash != second.content_hash


def test_a_turned_clip_has_the_size_at_which_it_is_shown(clip, tmp_path):
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "-90", "-i", clip("landscape.mp4"), "-c", "copy", turned)
    probe = probe_video(turned)
    assert (probe.width, probe.height, probe.rotation_degrees) == (144, 256, 90)


def test_a_variable_rate_is_averaged(clip):
    probe = probe_video(clip("variable_rate.mp4"))
    assert probe.frame_count == 52
    assert probe.fps == pytest.approx(13, abs=0.2)


def test_one_frame_lasts_as_long_as_it_is_shown(clip):
    probe = probe_video(clip("one_frame.mp4"))
    assert probe.frame_count == 1
    assert probe.duration_seconds == pytest.approx(1 / 30, abs=0.01)


def test_odd_sizes_are_kept(clip):
    probe = probe_video(clip("odd_size.mp4"))
    assert (probe.width, probe.height) == (145, 257)


@pytest.mark.parametrize(
    ("content", "detail"),
    [(b"", "empty"), (b"This is text and no video at all. " * 50, "Invalid data")],
)
def test_what_is_no_video_is_unreadable(tmp_path, content, detail):
    path = tmp_path / "fake.mp4"
    path.write_bytes(content)
    with pytest.raises(MediaError, match=detail) as caught:
        probe_video(path)
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("kind", ["hls", "concat", "dash"])
def test_a_playlist_named_mp4_has_nobody_read_what_it_names(clip, tmp_path, kind):
    secret = clip("with_sound.mp4")
    playlists = {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\nfile:{secret}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{secret}'\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        f"<Period><BaseURL>file:{secret}</BaseURL></Period></MPD>",
    }
    path = tmp_path / "innocent.mp4"
    path.write_text(playlists[kind])
    with pytest.raises(MediaError) as caught:
        probe_video(path)
    assert caught.value.reason == "unreadable"
    with pytest.raises(MediaError):
        decode_audio(path)


def test_a_file_that_has_gone_is_no_fault_of_the_clip(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        probe_video(tmp_path / "gone.mp4")


def test_a_file_cut_short_before_its_index_is_unreadable(clip, tmp_path):
    content = clip("h264_b_frames.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(MediaError, match="unreadable"):
        probe_video(path)


@pytest.mark.parametrize("name", ["fast_start.mp4", "clip.mkv"])
def test_a_file_cut_short_behind_its_index_is_unreadable(tmp_path, name):
    whole, cut = tmp_path / name, tmp_path / f"cut_{name}"
    ffmpeg(*picture(), *h264(), "-movflags", "+faststart", whole)
    content = whole.read_bytes()
    cut.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(MediaError, match=r"cut short: it holds 1\.\d of 2\.0 s"):
        probe_video(cut)


def test_sound_alone_is_no_video(clip):
    with pytest.raises(MediaError, match="no video stream: the file holds audio"):
        probe_video(clip("sound_only.m4a"))


def test_real_clips_are_probed_rightly(real_clips):
    nasa = probe_video(real_clips / "nasa_webb_speech.mp4")
    portrait = probe_video(real_clips / "portrait_hevc_speech.mp4")
    av1 = probe_video(real_clips / "av1_video.mp4")
    assert (nasa.video_streams, nasa.video_codec, nasa.width, nasa.height) == (2, "h264", 480, 270)
    assert (portrait.video_codec, portrait.width, portrait.height) == ("hevc", 720, 1280)
    assert (av1.video_codec, av1.width, av1.height, av1.frame_count) == ("av1", 960, 540, 375)
    assert not probe_video(real_clips / "no_audio_track.mp4").has_audio


def test_pixels_that_are_wider_than_tall_count_as_shown(tmp_path):
    path = tmp_path / "wide.mp4"
    ffmpeg(*picture(1, "144x256"), *h264(), "-vf", "setsar=4", path)
    assert (probe_video(path).width, probe_video(path).height) == (576, 256)


def test_a_sound_that_nobody_can_decode_leaves_the_clip_usable(clip, tmp_path):
    path = with_codec_renamed(clip("with_sound.mp4"), tmp_path / "x.mp4", "mp4a", "apac")
    probe = probe_video(path)
    assert (probe.has_audio, probe.audio_codec) == (False, "apac")


def test_a_picture_that_nobody_can_decode_is_named(clip, tmp_path):
    path = with_codec_renamed(clip("with_sound.mp4"), tmp_path / "x.mp4", "avc1", "bvc2")
    with pytest.raises(MediaError, match=r"bvc2.*another format") as caught:
        probe_video(path)
    assert caught.value.reason == "unknown codec"


def test_a_file_that_may_not_be_read_is_no_verdict_on_the_clip(clip, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = clip("with_sound.mp4")
    monkeypatch.setattr("av.open", refuse)
    with pytest.raises(PermissionError):
        probe_video(path)
