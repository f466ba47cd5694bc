"""The sound track of a clip: speech, music, or speech over quiet music."""

from __future__ import annotations

from typing import Final

import numpy as np

from tiktok_virality.demo.clip_plan import ClipPlan
from tiktok_virality.demo.planting import SILENCE_AROUND_SPEECH_SECONDS
from tiktok_virality.demo.speech import SPEECH_RATE_HZ, speak
from tiktok_virality.schema import MediaError

SPEECH_PEAK: Final = 0.8
MUSIC_PEAK: Final = 0.4
BACKING_PEAK: Final = 0.012
"""36 dB below the speech: heard in the pauses, and in no one's way."""

NOTE_SECONDS: Final = 0.3
NOTE_DECAY_SECONDS: Final = 0.25
ATTACK_SECONDS: Final = 0.01
LOWEST_NOTE_HZ: Final = 220.0
PENTATONIC_SEMITONES: Final = (0, 2, 4, 7, 9, 12, 14, 16)
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
        return MUSIC_PEAK * _music(plan, count)
    track = _speech(plan, count)
    return track + BACKING_PEAK * _music(plan, count) if plan.backing_music else track


def _speech(plan: ClipPlan, count: int) -> np.ndarray:
    spoken = speak(
        plan.script, voice=plan.voice, words_per_minute=plan.words_per_minute, pitch=plan.pitch
    )
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
    track[start : start + len(spoken)] = spoken * (SPEECH_PEAK / np.abs(spoken).max())
    return track


def _music(plan: ClipPlan, count: int) -> np.ndarray:
    """Return plucked notes of a pentatonic scale, float32 [count], with a peak of 1."""
    rng = np.random.default_rng([plan.seed, *b"music"])
    key_hz = LOWEST_NOTE_HZ * 2 ** (rng.integers(12) / 12)
    step = round(NOTE_SECONDS * SPEECH_RATE_HZ)
    ring = 4 * step
    track = np.zeros(count + ring)
    for start in range(0, count, step):
        pitch_hz = key_hz * 2 ** (rng.choice(PENTATONIC_SEMITONES) / 12)
        track[start : start + ring] += _note(pitch_hz, ring)
    return (track[:count] / np.abs(track[:count]).max()).astype(np.float32)


def _note(pitch_hz: float, count: int) -> np.ndarray:
    seconds = np.arange(count) / SPEECH_RATE_HZ
    waves = sum(
        loudness * np.sin(2 * np.pi * multiple * pitch_hz * seconds)
        for multiple, loudness in OVERTONES
    )
    attack = np.minimum(seconds / ATTACK_SECONDS, 1)
    return attack * np.exp(-seconds / NOTE_DECAY_SECONDS) * waves
