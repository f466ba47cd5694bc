"""What is measured of sounds whose properties are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.sound.sounds import chords, clicks, noise, sine, speech, times

MAJOR_SCALE = (0, 4, 7, 12, 5, 9, 7, 11)
MINOR_SCALE = (0, 3, 7, 12, 5, 8, 7, 2)


def test_loudness_is_that_of_the_standard(measure):
    """BS.1770: a sine of 997 Hz at full scale in one channel has -3.01 LUFS."""
    heard = measure(sine(997, amplitude=0.1))
    assert heard["programme loudness"] == pytest.approx(-23.0, abs=0.1)
    assert heard["loudness"] == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize("name", ["programme loudness", "loudness", "level", "peak"])
def test_twice_the_amplitude_is_six_decibels_more(measure, name):
    quiet = noise(amplitude=0.05)
    assert measure(2 * quiet)[name] - measure(quiet)[name] == pytest.approx(6.02, abs=0.05)


def test_shape_of_the_spectrum_does_not_depend_on_the_level(measure):
    loud, quiet = measure(noise(amplitude=0.2)), measure(noise(amplitude=0.02))
    for name in ("centroid", "share 0 to 100 Hz", "energy centroid", "zero crossings"):
        assert loud[name] == pytest.approx(quiet[name], rel=1e-3)


def test_a_clip_that_is_loud_and_soft_has_more_dynamics_than_a_steady_one(measure):
    steady = noise(8)
    swell = steady * np.repeat([1.0, 0.1], len(steady) // 2).astype(np.float32)
    for name in ("loudness spread", "level spread", "level deviation", "loudness range"):
        assert measure(swell)[name] > measure(steady)[name] + 5


def test_crest_is_three_decibels_for_a_sine_and_none_for_a_square(measure):
    assert measure(sine(200))["crest"] == pytest.approx(3.01, abs=0.05)
    assert measure(np.sign(sine(201.3)))["crest"] == pytest.approx(0, abs=0.05)


def test_a_pause_is_found_and_measured(measure):
    sound = noise(5)
    sound[32_000:56_000] = 0  # 1.5 of 5 seconds
    heard = measure(sound)
    assert heard["longest pause"] == pytest.approx(1.5, abs=0.02)
    assert heard["pause"] == pytest.approx(0.3, abs=0.01)


def test_bass_and_treble_are_told_apart(measure):
    bass, treble = measure(sine(60)), measure(sine(3000))
    assert bass["share 0 to 100 Hz"] > 0.99 > 0.01 > treble["share 0 to 100 Hz"]
    assert bass["centroid"] == pytest.approx(0.06, abs=0.02)
    assert treble["centroid"] == pytest.approx(3.0, abs=0.02)
    assert treble["roll-off"] == pytest.approx(3.0, abs=0.05)


def test_a_tone_is_not_flat_and_noise_is(measure):
    assert measure(sine(440))["flatness"] < -40 < -5 < measure(noise())["flatness"]


@pytest.mark.parametrize("hertz", [82.0, 110.0, 220.0, 440.0, 800.0])
def test_the_pitch_of_a_tone_is_its_frequency(measure, hertz):
    heard = measure(sine(hertz))
    assert heard["pitch"] == pytest.approx(12 * np.log2(hertz / 55), abs=0.3)
    assert heard["pitch hundred hertz"] == pytest.approx(hertz / 100, rel=0.02)
    assert heard["voiced"] > 0.97
    assert heard["harmonicity"] > 20


def test_noise_has_no_pitch(measure):
    heard = measure(noise())
    assert heard["voiced"] < 0.05
    assert heard["harmonicity"] < 3


def test_an_octave_up_and_down_has_a_wider_pitch_than_a_steady_tone(measure):
    sweep = np.concatenate([sine(220, 1), sine(440, 1), sine(220, 1), sine(440, 1)])
    assert measure(sweep)["pitch range"] == pytest.approx(12, abs=0.3)
    assert measure(sine(220))["pitch range"] < 0.1


def test_a_higher_voice_is_heard_as_higher(measure):
    low, high = measure(speech(pitch=20)), measure(speech(pitch=80))
    assert high["voice pitch median"] > low["voice pitch median"] + 3


@pytest.mark.parametrize("bpm", [80, 100, 120, 150])
def test_a_click_track_is_read_at_its_tempo(measure, bpm):
    heard = measure(clicks(bpm))
    assert 60 * heard["beats per second"] == pytest.approx(bpm, rel=0.03)
    assert heard["pulse clarity"] > 0.6


def test_noise_has_no_clear_pulse(measure):
    assert measure(noise(6))["pulse clarity"] < 0.3


def test_onsets_are_counted_per_second(measure):
    for bpm in (90, 240):
        heard = measure(clicks(bpm))
        assert heard["onsets"] == pytest.approx(bpm / 60, abs=0.35)
        assert heard["clear onsets"] == pytest.approx(bpm / 60, abs=0.35)


def test_movement_of_the_envelope_is_read_at_its_rate(measure):
    moving = noise() * (1 + 0.9 * np.sin(2 * np.pi * 4 * times(4))).astype(np.float32)
    heard = measure(moving)
    rates = {name: heard[name] for name in heard if name.startswith("modulation")}
    assert max(rates, key=rates.__getitem__) == "modulation 3 to 6 Hz"


def test_notes_are_found_by_name(measure):
    heard = measure(sine(440))
    notes = [heard[f"note {note}"] for note in range(12)]
    assert np.argmax(notes) == 9  # an A


def test_major_is_told_from_minor_in_any_key(measure):
    for root in (220.0, 293.66, 370.0):
        major, minor = (
            measure(chords(scale, root_hertz=root)) for scale in (MAJOR_SCALE, MINOR_SCALE)
        )
        assert major["major over minor"] > 0 > minor["major over minor"]


def test_speech_is_told_from_music(measure):
    spoken, music = measure(speech()), measure(chords(MAJOR_SCALE))
    assert spoken["speech"] > 0.7 > 0.2 > music["speech"]
    assert spoken["spoken"] > 0.7 > 0.2 > music["spoken"]
    assert music["pitch without speech"] > spoken["pitch without speech"] + 0.4


def test_a_token_tells_of_its_own_half_second(describe):
    sound = np.concatenate([sine(100, 1, 0.01), sine(2000, 1, 0.3)])
    heard = describe(sound)
    level = heard.values[:, heard.names.index("level")]
    centroid = heard.values[:, heard.names.index("energy centroid")]
    np.testing.assert_allclose(level, [-43, -43, -13.5, -13.5], atol=0.2)
    np.testing.assert_allclose(centroid[[0, 3]], [0.1, 2.0], atol=0.02)


@pytest.mark.parametrize(
    ("seconds", "tokens"), [(0.1, 1), (0.5, 1), (0.74, 1), (0.76, 2), (6.0, 12), (6.2, 12)]
)
def test_there_is_one_token_for_each_half_second(describe, seconds, tokens):
    assert len(describe(noise(seconds)).values) == tokens


ODD_SOUNDS = {
    "silence": np.zeros(32_000, np.float32),
    "a tenth of a second": noise(0.1),
    "one sample": np.ones(1, np.float32),
    "DC": np.full(32_000, 0.5, np.float32),
    "full-scale square": np.sign(sine(101)),
    "an impulse": np.eye(1, 32_000, 9_000, dtype=np.float32)[0],
    "clicks in digital silence": clicks(120),
    "the smallest steps of PCM16": np.sign(sine(440)) / 32_768,
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", ODD_SOUNDS)
def test_odd_sounds_have_sane_values(describe, name):
    heard = describe(ODD_SOUNDS[name])
    assert np.isfinite(heard.values).all()
    assert np.abs(heard.values).max() <= 100
    assert len(set(heard.names)) == heard.values.shape[1]


def test_what_is_measured_does_not_depend_on_the_clip(describe):
    assert describe(noise(0.1)).names == describe(clicks(120)).names
