"""Clips with and without speech, as WAV files: the same for one seed and the same real clips."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from tiktok_virality.demo.clip_plan import VOICES
from tiktok_virality.demo.scripts import THEMES
from tiktok_virality.demo.speech import SPEECH_RATE_HZ, speak
from tiktok_virality.media.audio import decode_audio
from tiktok_virality.media.waveform import read_wav, write_wav
from tiktok_virality.schema import SAMPLE_RATE_HZ

SHORTEST_SECONDS, LONGEST_SECONDS = 5.0, 30.0
REAL_SPEECH = ("jfk_speech.flac", "nasa_webb_speech.mp4")
REAL_MUSIC = "big_buck_bunny_30s.mp4"
PIECES_OF_MUSIC = 10
EDGE_SECONDS = 0.3
BACKING_PEAK = 0.02
SENTENCES = [sentence for theme in THEMES.values() for sentence in theme]


@dataclass(frozen=True)
class SoundClip:
    """A WAV file, and whether somebody speaks in it."""

    path: Path
    kind: str
    speech: bool

    def load(self) -> np.ndarray:
        """Return float32 [samples] at 16 kHz."""
        return read_wav(self.path)


def write_corpus(folder: Path, each: int, real: Path | None, seed: int = 7) -> list[SoundClip]:
    """Write clips of 5 to 30 s, half of them with speech, and return them mixed.

    Args:
        folder: Where to; exists.
        each: Clips with speech, and as many without.
        real: Folder of real speech and music; ``None``, or one that lacks them, leaves them out.
        seed: Of everything that is drawn.
    """
    rng = np.random.default_rng(seed)
    found = real if real is not None and (real / REAL_MUSIC).is_file() else None
    spoken = [("real speech", sound) for sound in _real_speech(found)]
    spoken += [("synthetic speech", _said(rng)) for _ in range(each - len(spoken))]
    other = [("real music", sound) for sound in _real_music(found, rng)]
    kinds = list(EFFECTS)
    for number in range(each - len(other)):
        kind = kinds[number % len(kinds)]
        other.append((kind, EFFECTS[kind](rng, _draw_samples(rng))))
    drawn = [(kind, sound, True) for kind, sound in spoken]
    drawn += [(kind, sound, False) for kind, sound in other]
    clips = []
    for number, (kind, sound, speech) in enumerate(_alternating(drawn, rng)):
        path = folder / f"{number:03d}.wav"
        write_wav(path, sound)
        clips.append(SoundClip(path, kind, speech))
    return clips


def _alternating(
    drawn: list[tuple[str, np.ndarray, bool]], rng: np.random.Generator
) -> list[tuple[str, np.ndarray, bool]]:
    """Mix clips so that every other one has speech."""
    mixed = [drawn[place] for place in rng.permutation(len(drawn))]
    halves = [[clip for clip in mixed if clip[2] == speech] for speech in (True, False)]
    return [clip for pair in zip(*halves, strict=True) for clip in pair]


def _real_speech(real: Path | None) -> list[np.ndarray]:
    """Each recording, its beginning, and pairs of them with a pause between, at most 30 s."""
    if real is None:
        return []
    jfk, nasa = (decode_audio(real / name) for name in REAL_SPEECH)
    pause = np.zeros(SAMPLE_RATE_HZ, np.float32)
    return [
        *(jfk, nasa, jfk[: 5 * SAMPLE_RATE_HZ], nasa[: round(6.6 * SAMPLE_RATE_HZ)]),
        *(np.concatenate([jfk, pause, nasa]), np.concatenate([nasa, pause, jfk])),
    ]


def _real_music(real: Path | None, rng: np.random.Generator) -> list[np.ndarray]:
    if real is None:
        return []
    track = decode_audio(real / REAL_MUSIC)
    pieces = []
    for _ in range(PIECES_OF_MUSIC):
        samples = min(_draw_samples(rng), len(track))
        start = int(rng.integers(0, len(track) - samples + 1))
        pieces.append(track[start : start + samples])
    return pieces


def _draw_samples(rng: np.random.Generator) -> int:
    """Short clips are more frequent: as many between 5 and 12 s as between 12 and 30 s."""
    return round(
        np.geomspace(SHORTEST_SECONDS, LONGEST_SECONDS, 1001)[rng.integers(1001)] * SAMPLE_RATE_HZ
    )


def _said(rng: np.random.Generator) -> np.ndarray:
    """Sentences in random order, as many as fit; quiet music behind every third clip."""
    samples = _draw_samples(rng)
    voice, rate, pitch = rng.choice(VOICES), int(rng.integers(120, 190)), int(rng.integers(35, 65))
    order, room = (
        rng.permutation(len(SENTENCES)),
        samples - round(2 * EDGE_SECONDS * SAMPLE_RATE_HZ),
    )
    words = np.zeros(0, np.float32)
    for count in range(1, len(order) + 1):
        text = " ".join(SENTENCES[i] for i in order[:count])
        said = _speak(text, str(voice), rate, pitch)
        if len(said) > room:
            break
        words = said
    sound = np.zeros(samples, np.float32)
    start = int(rng.integers(0, samples - len(words) + 1))
    sound[start : start + len(words)] = 0.8 * words / max(np.abs(words).max(initial=0), 1e-9)
    return sound + BACKING_PEAK * _notes(rng, samples) if rng.random() < 1 / 3 else sound


def _speak(text: str, voice: str, rate: int, pitch: int) -> np.ndarray:
    said = speak(text, voice=voice, words_per_minute=rate, pitch=pitch)
    return resample_poly(said, SAMPLE_RATE_HZ, SPEECH_RATE_HZ).astype(np.float32)


def _notes(rng: np.random.Generator, samples: int) -> np.ndarray:
    """Plucked notes of a pentatonic scale."""
    step = round(rng.uniform(0.15, 0.5) * SAMPLE_RATE_HZ)
    seconds = np.arange(4 * step) / SAMPLE_RATE_HZ
    sound = np.zeros(samples + 4 * step)
    key_hz = 220 * 2 ** (rng.integers(12) / 12)
    for start in range(0, samples, step):
        pitch_hz = key_hz * 2 ** (rng.choice((0, 2, 4, 7, 9, 12)) / 12)
        wave = sum(np.sin(2 * np.pi * n * pitch_hz * seconds) / n**1.5 for n in range(1, 4))
        sound[start : start + 4 * step] += wave * np.exp(-4 * seconds)
    return _loud(sound[:samples], 0.6)


def _beats(rng: np.random.Generator, samples: int) -> np.ndarray:
    """A bass drum on the beat and a hiss between."""
    step = round(60 / rng.uniform(90, 150) / 2 * SAMPLE_RATE_HZ)
    seconds = np.arange(step) / SAMPLE_RATE_HZ
    drum = np.sin(2 * np.pi * 60 * seconds + 6 * np.exp(-30 * seconds)) * np.exp(-12 * seconds)
    sound = np.zeros(samples + step)
    for number, start in enumerate(range(0, samples, step)):
        hiss = 0.3 * rng.normal(size=step) * np.exp(-40 * seconds)
        sound[start : start + step] += drum if number % 2 == 0 else hiss
    return _loud(sound[:samples], 0.8)


def _siren(rng: np.random.Generator, samples: int) -> np.ndarray:
    """A tone that goes up and down."""
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    pitch_hz = 700 + 400 * np.sin(2 * np.pi * seconds / rng.uniform(0.5, 3))
    return _loud(np.sin(2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ), 0.4)


def _loud(sound: np.ndarray, peak: float) -> np.ndarray:
    return (peak * sound / np.abs(sound).max()).astype(np.float32)


EFFECTS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "notes": _notes,
    "beats": _beats,
    "siren": _siren,
}
