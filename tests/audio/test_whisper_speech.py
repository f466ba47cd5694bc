from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from tiktok_virality.models import whisper_encoding
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.models.whisper_speech import SpeechModel, count_words
from tiktok_virality.schema import SAMPLE_RATE_HZ, ParameterError, WeightsError

JFK = (
    "and so my fellow americans ask not what your country can do for you "
    "ask what you can do for your country"
)
NASA = (
    "this is the optical and science segment of the webb space telescope in one of the largest "
    "clean rooms in the world at nasa's goddard space flight center in greenbelt maryland"
)
SPEECH = {"jfk_speech.flac": JFK, "nasa_webb_speech.mp4": NASA, "portrait_hevc_speech.mp4": NASA}
MUSIC = "big_buck_bunny_30s.mp4"


def words(text: str) -> str:
    return " ".join(re.findall(r"[a-z']+", text.lower()))


@pytest.fixture(scope="module")
def together(speech_model, sound):
    """All real clips, and some silence, read in one batch."""
    waveforms = {name: sound(name) for name in [*SPEECH, MUSIC]}
    waveforms["silence"] = np.zeros(3 * SAMPLE_RATE_HZ, np.float32)
    return dict(zip(waveforms, speech_model.read(list(waveforms.values())), strict=True))


@pytest.mark.parametrize("name", SPEECH)
def test_real_speech_is_written_down_word_for_word(together, name):
    assert words(together[name].text) == SPEECH[name]
    assert together[name].language == "en"
    assert together[name].has_speech
    assert 2 < together[name].words_per_second < 4


@pytest.mark.parametrize("name", [MUSIC, "silence"])
def test_where_nobody_speaks_there_is_no_text_but_an_embedding(together, name):
    clip = together[name]
    assert (clip.text, clip.language, clip.segments, clip.has_speech) == ("", None, (), False)
    assert (clip.no_speech_prob, clip.compression_ratio) == (None, None)
    assert clip.words_per_second == 0
    assert len(clip.tokens) == 2 * round(clip.duration_seconds)


def test_a_clip_gives_the_same_alone_and_in_a_batch(together, speech_model, sound):
    name = "jfk_speech.flac"
    (alone,) = speech_model.read([sound(name)])
    assert alone.text == together[name].text
    assert alone.segments == together[name].segments
    np.testing.assert_allclose(
        alone.tokens.astype(np.float32),
        together[name].tokens.astype(np.float32),
        rtol=1e-3,
        atol=1e-3,
    )


@pytest.fixture(scope="module")
def half_precise(checkpoint):
    with pytest.MonkeyPatch.context() as patch:  # torch computes it on any processor, if slowly
        patch.setattr(whisper_encoding, "bfloat16_is_native", lambda device: True)
        return SpeechModel(checkpoint, WhisperParameters(precision="mixed"), device="cpu")


def test_bfloat16_hears_the_same_words_and_nearly_the_same_sound(checkpoint, half_precise, sound):
    jfk = sound("jfk_speech.flac")
    precise = SpeechModel(checkpoint, WhisperParameters(precision="full"), device="cpu")
    (half,), (full,) = half_precise.read([jfk]), precise.read([jfk])
    assert words(half.text) == words(full.text) == JFK
    a, b = half.tokens.astype(np.float32), full.tokens.astype(np.float32)
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert cosines.min() > 0.999
    assert (half.tokens != full.tokens).any()


def test_bfloat16_gives_a_clip_the_same_alone_and_in_a_batch(half_precise, sound):
    jfk, nasa = sound("jfk_speech.flac"), sound("nasa_webb_speech.mp4")
    clips = [jfk[: 4 * SAMPLE_RATE_HZ], nasa[: 7 * SAMPLE_RATE_HZ]]
    for together, clip in zip(half_precise.read(clips), clips, strict=True):
        (alone,) = half_precise.read([clip])
        assert alone.segments == together.segments
        np.testing.assert_allclose(
            alone.tokens.astype(np.float32),
            together.tokens.astype(np.float32),
            rtol=1e-3,
            atol=1e-3,
        )


def test_tokens_cover_the_clip_and_none_of_its_padding(together):
    jfk = together["jfk_speech.flac"]
    assert jfk.duration_seconds == 11.0
    assert jfk.tokens.shape == (22, 512)
    assert jfk.tokens.dtype == np.float16
    assert np.isfinite(jfk.tokens).all()


def test_segments_are_the_text_with_times_inside_the_clip(together):
    clip = together["nasa_webb_speech.mp4"]
    times = [time for s in clip.segments for time in (s.start_seconds, s.end_seconds)]
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= clip.duration_seconds
    assert " ".join(segment.text for segment in clip.segments) == clip.text


def test_a_clip_longer_than_whispers_window_loses_no_word(speech_model, sound):
    jfk = sound("jfk_speech.flac")
    (clip,) = speech_model.read([np.concatenate([jfk, sound(MUSIC)[: 12 * 16_000], jfk])])
    assert words(clip.text) == f"{JFK} {JFK}"
    assert clip.tokens.shape == (68, 512)
    first_of_second = [s.start_seconds for s in clip.segments if s.text.startswith("And so")][1]
    assert first_of_second == pytest.approx(23, abs=1)


def test_attempts_that_draw_tokens_are_the_same_every_time(checkpoint, sound):
    unlikely = WhisperParameters(min_avg_logprob=-1e-6, temperatures=(0.0, 0.9))
    model = SpeechModel(checkpoint, unlikely, device="cpu", seed=3)
    jfk = sound("jfk_speech.flac")[: 5 * SAMPLE_RATE_HZ]
    (alone,) = model.read([jfk])
    torch.manual_seed(99)
    in_a_batch = model.read([sound("nasa_webb_speech.mp4")[: 5 * SAMPLE_RATE_HZ], jfk])[1]
    assert in_a_batch.text == alone.text


def test_a_text_that_whisper_takes_for_silence_is_held_back(checkpoint, sound):
    doubtful = WhisperParameters(min_avg_logprob=-1e-6, max_no_speech_prob=1e-6)
    model = SpeechModel(checkpoint, doubtful, device="cpu")
    (clip,) = model.read([sound("jfk_speech.flac")[: 3 * SAMPLE_RATE_HZ]])
    assert (clip.text, clip.has_speech) == ("", False)
    assert clip.no_speech_prob > 0


def test_a_text_that_repeats_itself_is_held_back(checkpoint, sound):
    strict = WhisperParameters(max_compression_ratio=0.1, temperatures=(0.0,))
    model = SpeechModel(checkpoint, strict, device="cpu")
    (clip,) = model.read([sound("jfk_speech.flac")[: 3 * SAMPLE_RATE_HZ]])
    assert (clip.text, clip.has_speech) == ("", False)


def test_a_clip_shorter_than_one_state_has_one_token(speech_model):
    (clip,) = speech_model.read([np.full(10, 0.1, np.float32)])
    assert clip.tokens.shape == (1, 512)


def test_a_set_language_is_used(checkpoint, sound):
    model = SpeechModel(checkpoint, WhisperParameters(language="de"), device="cpu")
    (clip,) = model.read([sound("jfk_speech.flac")[: 5 * SAMPLE_RATE_HZ]])
    assert clip.language == "de"


def test_an_unknown_language_is_refused(checkpoint):
    with pytest.raises(ParameterError, match="'klingon'"):
        SpeechModel(checkpoint, WhisperParameters(language="klingon"), device="cpu")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"a letter")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        SpeechModel(Checkpoint(path=path, digest="0"), WhisperParameters(), device="cpu")


def test_words_are_counted_also_where_none_are_spaced():
    assert count_words("One small step.", "en") == 3
    assert count_words("今日は良い天気。", "ja") == 7
