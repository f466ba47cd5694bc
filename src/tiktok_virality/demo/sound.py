"""The sound track of a clip: speech, music, or speech over quiet music."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from tiktok_virality.demo.clip_plan import ClipPlan
from tiktok_virality.demo.planting import SILENCE_AROUND_SPEECH_SECONDS
from tiktok_virality.demo.speech import SPEECH_RATE_HZ, speak
from tiktok_virality.schema import MediaError

BACKING_PEAK: Final = 0.2
"""Of music beside speech whose peak is 1: 14 dB below it, heard and in no one's way."""
SPOKEN: Final = 0.003
"""Samples of speech below this, beside a peak of 1, are silence at its ends."""

NOTE_DECAY_SECONDS: Final = 0.2
ATTACK_SECONDS: Final = 0.005
RING_SECONDS: Final = 1.0
CLICK_DECAY_SECONDS: Final = 0.015
CLICK: Final = 0.3
"""How loud the drum is that marks each note."""
LOWEST_NOTE_HZ: Final = 110.0
PENTATONIC_SEMITONES: Final = (0, 2, 4, 7, 9)
OVERTONES: Final = ((1, 1.0), (2, 0.4), (3, 0.15))
"""Multiples of a note's frequency, and how loud they are."""


def draw_sound(plan: ClipPlan) -> np.ndarray | None:
    """Return the track of a clip, as long as its picture.

    Returns:
        float32 [samples] in [-1, 1] at ``SPEECH_RATE_HZ``; ``None`` where there is no track.

    Raises:
        MediaError: ``"speech too long"``: the words do not fit into the clip.
    """
    if plan.sound == "none":
        return None
    count = round(plan.frame_count / plan.fps * SPEECH_RATE_HZ)
    if plan.sound == "music":
        track = _music(plan, count)
    else:
        track = _speech(plan, count)
        if plan.backing_music:
            track = track + BACKING_PEAK * _music(plan, count)
    return track * np.float32(10 ** (plan.loudness_db / 20) / np.abs(track).max())


def _speech(plan: ClipPlan, count: int) -> np.ndarray:
    """Return the words in two parts with a pause between, float32 [count], with a peak of 1."""
    parts = [
        _trimmed(
            speak(text, voice=plan.voice, words_per_minute=plan.words_per_minute, pitch=plan.pitch)
        )
        for text in halves(plan.script)
    ]
    silence = np.zeros(round(plan.pause_seconds * SPEECH_RATE_HZ), np.float32)
    spoken = np.concatenate([parts[0], silence, parts[1]])
    edge = round(SILENCE_AROUND_SPEECH_SECONDS * SPEECH_RATE_HZ)
    room = count - 2 * edge - len(spoken)
    if room < 0:
        raise MediaError(
            "speech too long",
            f"{plan.video_id}: {len(spoken) / SPEECH_RATE_HZ:.2f} s of speech in a clip of "
            f"{plan.duration_seconds:.2f} s",
        )
    track = np.zeros(count, np.float32)
    start = edge + round(plan.speech_start_share * room)
    track[start : start + len(spoken)] = spoken / np.abs(spoken).max()
    return track


def halves(script: str) -> tuple[str, str]:
    """Split a script near its middle: between two sentences, or else between two words."""
    ends = [found.end() for found in re.finditer(r"\.(?= )", script)]
    places = ends or [found.start() for found in re.finditer(" ", script)]
    middle = min(places, key=lambda at: abs(at - len(script) / 2))
    return script[:middle], script[middle:].strip()


def _trimmed(samples: np.ndarray) -> np.ndarray:
    """Return speech without the silence at its ends."""
    loud = np.flatnonzero(np.abs(samples) > SPOKEN * np.abs(samples).max())
    return samples[loud[0] : loud[-1] + 1]


def _music(plan: ClipPlan, count: int) -> np.ndarray:
    """Return plucked notes of a pentatonic scale with a drum, float32 [count], with a peak of 1."""
    rng = np.random.default_rng([plan.seed, *b"music"])
    key_hz = LOWEST_NOTE_HZ * 2**plan.music_octave
    ring = round(RING_SECONDS * SPEECH_RATE_HZ)
    click = CLICK * _click(rng, ring)
    track = np.zeros(count + ring)
    for start in np.arange(0, count, 60 / plan.music_bpm * SPEECH_RATE_HZ).astype(int):
        pitch_hz = key_hz * 2 ** (rng.choice(PENTATONIC_SEMITONES) / 12)
        track[start : start + ring] += _note(pitch_hz, ring) + click
    return (track[:count] / np.abs(track[:count]).max()).astype(np.float32)


def _click(rng: np.random.Generator, count: int) -> np.ndarray:
    seconds = np.arange(count) / SPEECH_RATE_HZ
    return np.asarray(np.exp(-seconds / CLICK_DECAY_SECONDS) * rng.standard_normal(count))


def _note(pitch_hz: float, count: int) -> np.ndarray:
    seconds = np.arange(count) / SPEECH_RATE_HZ
    waves = sum(
        loudness * np.sin(2 * np.pi * multiple * pitch_hz * seconds)
        for multiple, loudness in OVERTONES
    )
    attack = np.minimum(seconds / ATTACK_SECONDS, 1)
    return attack * np.exp(-seconds / NOTE_DECAY_SECONDS) * waves
