from __future__ import annotations

import numpy as np
import pytest

from tests.media.encoding import ffmpeg, h264, picture, tone
from tiktok_virality.media.audio import decode_audio, peak_dbfs
from tiktok_virality.media.waveform import encode_wav, read_wav, write_wav
from tiktok_virality.schema import SAMPLE_RATE_HZ, MediaError


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
