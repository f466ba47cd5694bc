from __future__ import annotations

import numpy as np
import pytest

from tests.media.encoding import ffmpeg, h264, picture, tone, with_codec_renamed
from tiktok_virality.media import audio
from tiktok_virality.media.audio import (
    can_fingerprint,
    decode_audio,
    fingerprint_waveform,
    peak_dbfs,
)
from tiktok_virality.media.waveform import encode_wav, read_wav, write_wav
from tiktok_virality.schema import SAMPLE_RATE_HZ, MediaError, StageError


def test_a_tone_is_decoded_at_16_khz(clip):
    samples = decode_audio(clip("with_sound.mp4"))
    assert samples.dtype == np.float32
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(2, abs=0.1)
    loudest = np.abs(np.fft.rfft(samples)).argmax() * SAMPLE_RATE_HZ / len(samples)
    assert loudest == pytest.approx(440, abs=2)
    assert -12 < peak_dbfs(samples) <= 0


def test_stereo_is_mixed_down(tmp_path):
    path = tmp_path / "stereo.mp4"
    ffmpeg(*picture(1), *tone(1), *h264(), "-ac", "2", "-ar", "48000", "-c:a", "aac", path)
    assert decode_audio(path).ndim == 1


def test_a_clip_without_a_track_says_so(clip):
    with pytest.raises(MediaError) as caught:
        decode_audio(clip("h264_b_frames.mp4"))
    assert caught.value.reason == "no audio track"


def test_what_is_no_media_is_unreadable(tmp_path):
    path = tmp_path / "letter.mp4"
    path.write_text("Dear reader")
    with pytest.raises(MediaError) as caught:
        decode_audio(path)
    assert caught.value.reason == "unreadable"


@pytest.mark.parametrize("name", ["-y.mp4", "a:b.mp4", "http:x.mp4", "ümläut %d 100%.mp4"])
def test_strange_file_names_are_only_names(clip, tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_bytes(clip("with_sound.mp4").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert len(decode_audio(path.relative_to(tmp_path))) > SAMPLE_RATE_HZ


def test_silence_has_no_peak():
    assert peak_dbfs(np.zeros(10, np.float32)) == float("-inf")
    assert peak_dbfs(np.zeros(0, np.float32)) == float("-inf")
    assert peak_dbfs(np.array([0.1, -0.5], np.float32)) == pytest.approx(-6.02, abs=0.01)


def test_a_waveform_survives_its_file_to_the_bit(clip, tmp_path):
    samples = decode_audio(clip("with_sound.mp4"))
    write_wav(tmp_path / "a.wav", samples)
    np.testing.assert_array_equal(read_wav(tmp_path / "a.wav"), samples)


def test_samples_out_of_range_are_clipped(tmp_path):
    write_wav(tmp_path / "a.wav", np.array([-2, -1, 0, 0.5, 1, 2], np.float32))
    expected = [-1, -1, 0, 0.5, 32767 / 32768, 32767 / 32768]
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav"), expected)


def test_a_wav_file_of_another_form_is_refused(tmp_path):
    path = tmp_path / "music.wav"
    ffmpeg(*tone(1), "-ar", "44100", "-ac", "2", path)
    with pytest.raises(MediaError, match="holds 44100 Hz, 2 channels, 16 bits"):
        read_wav(path)
    path.write_bytes(b"RIFF and no more")
    with pytest.raises(MediaError, match="unreadable"):
        read_wav(path)


def test_a_waveform_with_channels_is_refused():
    with pytest.raises(ValueError, match="mono"):
        encode_wav(np.zeros((2, 10), np.float32))


def test_a_track_that_begins_late_has_the_times_of_the_clip(tmp_path):
    path = tmp_path / "late.mp4"
    late = ["-itsoffset", "1.5", *tone(2)]
    ffmpeg(*picture(4), *late, "-map", "0:v", "-map", "1:a", *h264(), "-c:a", "aac", path)
    samples = decode_audio(path)
    assert peak_dbfs(samples[: int(1.4 * SAMPLE_RATE_HZ)]) < -60
    assert peak_dbfs(samples[int(1.7 * SAMPLE_RATE_HZ) :]) > -12
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(3.5, abs=0.1)


def test_opposite_channels_do_not_cancel_each_other(tmp_path):
    path = tmp_path / "opposite.mp4"
    inverted = ["-af", "pan=stereo|c0=c0|c1=-1*c0"]
    ffmpeg(*picture(1), *tone(1), *h264(), *inverted, "-c:a", "aac", "-ar", "48000", path)
    assert peak_dbfs(decode_audio(path)) > -12


def test_left_and_right_are_averaged(tmp_path):
    path = tmp_path / "left.mkv"
    left = ["-af", "pan=stereo|c0=c0|c1=0*c0", "-c:a", "pcm_s16le"]
    ffmpeg(*picture(1), *tone(1, volume=0.5), *h264(), *left, path)
    both = tmp_path / "both.mkv"
    ffmpeg(*picture(1), *tone(1, volume=0.5), *h264(), "-ac", "2", "-c:a", "pcm_s16le", both)
    halved = peak_dbfs(decode_audio(both)) - peak_dbfs(decode_audio(path))
    assert abs(halved) == pytest.approx(3, abs=0.5) or abs(halved) == pytest.approx(6, abs=0.5)


def test_a_track_that_nobody_can_decode_is_told_from_none(clip, tmp_path):
    path = with_codec_renamed(clip("with_sound.mp4"), tmp_path / "x.mp4", "mp4a", "unka")
    with pytest.raises(MediaError) as caught:
        decode_audio(path)
    assert caught.value.reason == "unknown audio codec"


def test_a_track_that_can_be_decoded_goes_before_one_that_cannot(tmp_path):
    two = tmp_path / "two.mp4"
    tracks = ["-map", "0:v", "-map", "1:a", "-map", "1:a", "-c:a:0", "ac3", "-c:a:1", "aac"]
    ffmpeg(*picture(1), *tone(1), *tracks, *h264(), two)
    path = with_codec_renamed(two, tmp_path / "x.mp4", "ac-3", "unka")
    assert peak_dbfs(decode_audio(path)) > -12


@pytest.fixture
def another_ffmpeg(monkeypatch):
    def use(path):
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(path))
        audio.can_fingerprint.cache_clear()

    yield use
    audio.can_fingerprint.cache_clear()


def test_an_ffmpeg_out_of_reach_is_no_verdict_on_a_clip(clip, another_ffmpeg):
    path = clip("with_sound.mp4")
    another_ffmpeg("/nonexistent/ffmpeg")
    second = np.zeros(SAMPLE_RATE_HZ, np.float32)
    for use in (lambda: decode_audio(path), lambda: fingerprint_waveform(second), can_fingerprint):
        with pytest.raises(StageError, match="IMAGEIO_FFMPEG_EXE"):
            use()


def test_an_ffmpeg_without_chromaprint_is_found_out(tmp_path, another_ffmpeg):
    import imageio_ffmpeg

    assert can_fingerprint()
    script = tmp_path / "ffmpeg"
    refuse = 'case " $* " in *" chromaprint "*) echo "not known" >&2; exit 234;; esac'
    script.write_text(f'#!/bin/sh\n{refuse}\nexec {imageio_ffmpeg.get_ffmpeg_exe()} "$@"\n')
    script.chmod(0o755)
    another_ffmpeg(script)
    assert not can_fingerprint()
