from __future__ import annotations

from itertools import pairwise

import pytest
from pydantic import ValidationError

from tiktok_virality.models.voice_activity import SpeechSpan
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.models.whisper_windows import (
    LONGEST_SECONDS,
    MARGIN_SECONDS,
    STATE_SAMPLES,
    Window,
    cut_windows,
)
from tiktok_virality.schema import SAMPLE_RATE_HZ


def seconds(value: float) -> int:
    return round(value * SAMPLE_RATE_HZ)


def test_a_short_clip_is_one_window():
    assert cut_windows(3, seconds(30), []) == [Window(3, 0, seconds(30))]


def test_a_long_clip_is_cut_at_the_end_of_its_longest_pause():
    speech = [SpeechSpan(0, 17), SpeechSpan(18, 20), SpeechSpan(23, 50)]
    first, second = cut_windows(0, seconds(50), speech)
    assert first.end_seconds == second.start_seconds == pytest.approx(22.5)


def test_a_long_clip_without_a_pause_is_cut_at_full_length():
    windows = cut_windows(0, seconds(70), [SpeechSpan(0, 70)])
    assert [window.end_seconds for window in windows] == [30, 60, 70]


def test_a_long_clip_without_speech_is_cut_at_full_length():
    assert [window.end_seconds for window in cut_windows(0, seconds(61), [])] == [30, 60, 61]


@pytest.mark.parametrize("samples", [0, 1, 319, 321, seconds(12.345), seconds(95) + 17])
def test_windows_cover_every_sample_once(samples):
    speech = [SpeechSpan(start, start + 2.13) for start in range(0, 94, 3)]
    windows = cut_windows(0, samples, speech)
    assert windows[0].start_sample == 0
    assert windows[-1].end_sample == samples
    for before, after in pairwise(windows):
        assert before.end_sample == after.start_sample
    assert sum(window.states for window in windows) == max(1, -(-samples // STATE_SAMPLES))


@pytest.mark.parametrize("length", [0, 0.3, 4.99, 12, 29.5, 30])
def test_padding_leaves_room_and_ends_at_what_whisper_knows(length):
    window = Window(0, 0, seconds(length))
    padded = window.padded_samples / SAMPLE_RATE_HZ
    assert padded >= min(length + MARGIN_SECONDS, LONGEST_SECONDS)
    assert padded <= LONGEST_SECONDS
    assert window.padded_samples % (2 * STATE_SAMPLES) == 0


def test_the_rest_of_a_window_ends_where_it_does():
    window = Window(0, 100, seconds(10))
    rest = window.rest_from(5.0)
    assert rest.start_seconds == 5.0
    assert rest.end_seconds == window.end_seconds


def test_a_token_is_a_whole_number_of_states():
    assert WhisperParameters(seconds_per_token=0.5).states_per_token == 25
    with pytest.raises(ValidationError, match=r"multiple of 0\.02"):
        WhisperParameters(seconds_per_token=0.33)


def test_at_least_one_attempt_is_made():
    with pytest.raises(ValidationError, match="one or more"):
        WhisperParameters(temperatures=())
