from __future__ import annotations

import numpy as np
import pytest
import torch

from tiktok_virality.media.audio import decode_audio
from tiktok_virality.models import voice_activity
from tiktok_virality.models.voice_activity import SpeechSpan, VoiceDetector
from tiktok_virality.schema import SAMPLE_RATE_HZ


@pytest.fixture(scope="module")
def detector():
    return VoiceDetector()


def speech_seconds(spans: list[SpeechSpan]) -> float:
    return sum(span.seconds for span in spans)


def test_real_speech_is_found_and_music_is_not(detector, real_clips):
    names = ["jfk_speech.flac", "nasa_webb_speech.mp4", "big_buck_bunny_30s.mp4"]
    found = detector.find_speech([decode_audio(real_clips / name) for name in names])
    jfk, nasa, music = map(speech_seconds, found)
    assert jfk > 7
    assert nasa > 10
    assert music == 0


def test_synthetic_speech_is_found(detector):
    pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")
    from tiktok_virality.demo.speech import SPEECH_RATE_HZ, speak

    said = speak("Stir the soup until it is thick.", voice="en-us", words_per_minute=150, pitch=50)
    seconds = len(said) / SPEECH_RATE_HZ
    times = np.arange(0, seconds, 1 / SAMPLE_RATE_HZ)
    samples = np.interp(times, np.arange(len(said)) / SPEECH_RATE_HZ, said).astype(np.float32)
    (spans,) = detector.find_speech([samples])
    assert speech_seconds(spans) > 0.8 * seconds


def test_a_clip_is_judged_alone_and_in_a_batch_alike(detector, real_clips):
    speech = decode_audio(real_clips / "jfk_speech.flac")
    waveforms = [speech[:50_000], np.zeros(100, np.float32), speech]
    voice_activity._heard.clear()
    together = detector.find_speech(waveforms)
    for waveform, spans in zip(waveforms, together, strict=True):
        voice_activity._heard.clear()
        assert detector.find_speech([waveform]) == [spans]
    assert together[1] == []


def test_a_clip_that_another_encoder_has_heard_is_not_heard_again(detector, monkeypatch):
    rng = np.random.default_rng(3)
    known, new = (rng.normal(size=5_000).astype(np.float32) for _ in range(2))
    [heard] = detector.speech_probabilities([known])
    asked = []
    hear = VoiceDetector._hear
    monkeypatch.setattr(
        VoiceDetector, "_hear", lambda self, sounds: asked.append(sounds) or hear(self, sounds)
    )
    first, again, *_ = VoiceDetector().speech_probabilities([new, known.copy(), new])
    assert [len(sounds) for sounds in asked] == [1] and asked[0][0] is new
    assert len(first) == len(again) and again.tolist() == heard.tolist()
    monkeypatch.setattr(voice_activity, "REMEMBERED", 1)
    detector.speech_probabilities([known, new])
    assert len(voice_activity._heard) == 1


def test_nothing_to_hear_is_nothing_found(detector):
    assert detector.find_speech([]) == []
    assert detector.find_speech([np.zeros(0, np.float32)]) == [[]]


def test_torch_keeps_its_threads(detector):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        VoiceDetector().find_speech([np.zeros(SAMPLE_RATE_HZ, np.float32)])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
