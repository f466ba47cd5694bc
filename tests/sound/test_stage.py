"""The sound stage on waveforms in memory."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from tests.sound.sounds import chords, clicks, noise, sine, sound_item, speech
from tiktok_virality.execution import Done, Failed
from tiktok_virality.models.sound_configs import SoundParameters
from tiktok_virality.models.voice_activity import VoiceDetector
from tiktok_virality.stages.sound import SoundReader


@pytest.fixture(scope="module")
def reader():
    reader = SoundReader(SoundParameters())
    reader.setup()
    return reader


def test_a_clip_alone_and_in_a_batch_has_equal_tokens(reader):
    sounds = [speech(), noise(0.1), clicks(120), chords((0, 4, 7)), np.zeros(8000, np.float32)]
    items = [sound_item(str(place), samples) for place, samples in enumerate(sounds)]
    together = reader(items)
    for outcome, item in zip(together, items, strict=True):
        (alone,) = reader([item])
        np.testing.assert_array_equal(outcome.columns["tokens"], alone.columns["tokens"])


def test_columns_are_tokens_and_their_times(reader):
    (outcome,) = reader([sound_item("clip", sine(440, 1.5))])
    columns = outcome.columns
    assert columns["tokens"].dtype == np.float16
    assert columns["token_seconds"] == 0.5
    np.testing.assert_array_equal(columns["timestamps_seconds"], np.float32([0, 0.5, 1]))
    assert len(columns["tokens"]) == 3


def test_a_token_lasts_as_long_as_the_parameters_say():
    reader = SoundReader(SoundParameters(seconds_per_token=2.0))
    reader.setup()
    (outcome,) = reader([sound_item("clip", noise(6))])
    assert len(outcome.columns["tokens"]) == 3
    with pytest.raises(ValidationError, match=r"must be a multiple of 0\.01"):
        SoundParameters(seconds_per_token=0.123)


def test_a_broken_waveform_fails_alone(reader):
    broken = np.full(100, np.nan, np.float32)
    items = [
        sound_item("empty", noise(1)[:0]),
        sound_item("broken", broken),
        sound_item("fine", noise(1)),
    ]
    empty, nan, fine = reader(items)
    assert (empty.reason, nan.reason) == ("empty waveform", "broken waveform")
    assert isinstance(empty, Failed)
    assert isinstance(fine, Done)


def test_the_identity_holds_what_decides_the_result_and_nothing_else():
    usual = SoundReader(SoundParameters()).identity()
    assert SoundReader(SoundParameters(batch_size=2)).identity() == usual
    assert SoundReader(SoundParameters(seconds_per_token=1)).identity() != usual


def test_a_reader_travels_to_a_worker():
    reader = SoundReader(SoundParameters())
    assert pickle.loads(pickle.dumps(reader)) == reader


def test_the_probability_of_speech_agrees_with_the_spans_found():
    voice = VoiceDetector()
    samples = np.concatenate([np.zeros(16_000, np.float32), speech(), np.zeros(16_000, np.float32)])
    (probability,) = voice.speech_probabilities([samples])
    assert len(probability) == -(-len(samples) // 512)
    (spans,) = voice.find_speech([samples])
    found = sum(span.seconds for span in spans)
    assert (probability > 0.5).sum() * 0.032 == pytest.approx(found, rel=0.15)
