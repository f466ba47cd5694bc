"""All that is measured of a sound, as tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from tiktok_virality.media.sound import harmony, levels, pitch, rhythm, spectrum
from tiktok_virality.media.sound.frames import (
    FRAME_SECONDS,
    SHORTEST,
    frame_count,
    on_frames,
    power_spectrogram,
    token_deviations,
    token_means,
    token_starts,
)

SPEECH_STEP: Final = 512
"""Samples of which each probability of speech speaks."""


@dataclass(frozen=True)
class SoundTokens:
    """What is measured of a clip.

    Attributes:
        names: Of the columns, [D]. What ends in "within" is a deviation within the token; what
            is of the whole clip is the same in all tokens.
        values: float32 [T, D].
        parts: How many columns in a row belong together, [P]; they add up to D.
    """

    names: tuple[str, ...]
    values: np.ndarray
    parts: tuple[int, ...]


def describe_sound(
    samples: np.ndarray, speech: np.ndarray, seconds_per_token: float
) -> SoundTokens:
    """Measure a sound.

    Args:
        samples: float32 [samples] in [-1, 1], mono at 16 kHz, at least one.
        speech: Probability of speech in each ``SPEECH_STEP`` samples, [steps].
        seconds_per_token: How long a token lasts; a multiple of 0.01.

    Returns:
        One token for each ``seconds_per_token``; less than half of that at the end belongs to
        the last token, and there is always one.
    """
    count = frame_count(len(samples))
    starts = token_starts(count, round(seconds_per_token / FRAME_SECONDS))
    sound = np.pad(samples, (0, max(0, SHORTEST - len(samples))))
    power = power_spectrogram(sound)[:, :count]
    mel = spectrum.log_mel(power)
    frames = _measure_frames(samples, sound, power, on_frames(speech, SPEECH_STEP, count))
    level = frames | {f"mel band {band}": row for band, row in enumerate(mel)}
    strength = rhythm.onset_strength(mel)
    onsets = rhythm.frame_onsets(strength)
    chroma = harmony.frame_chroma(sound, frames["pause"] == 0)
    notes = {f"note {note}": row for note, row in enumerate(chroma)}
    varying = {**level, "onset strength": strength}
    found = {**spectrum.token_spectrum(power, starts), "crest": _crest(frames, starts)}
    tokens = {
        **_means({**varying, **onsets, **notes}, starts),
        **_deviations(varying, starts),
        **found,
    }
    clip = [
        levels.clip_levels(samples, frames),
        spectrum.clip_spectrum(power),
        pitch.clip_pitch(frames, frames["speech"]),
        harmony.clip_harmony(chroma),
        rhythm.clip_tempo(strength),
        rhythm.clip_modulation(mel),
    ]
    of_tokens = (len(frames), len(mel), 1 + len(onsets) + len(notes))
    parts = (*of_tokens, len(frames), len(mel) + 1, len(found), *map(len, clip))
    return _tabulate(tokens, {k: v for each in clip for k, v in each.items()}, len(starts), parts)


def _measure_frames(
    samples: np.ndarray, sound: np.ndarray, power: np.ndarray, speech: np.ndarray
) -> dict[str, np.ndarray]:
    """Return every measurement that has a value at each frame, by name, [frames]."""
    level = levels.frame_levels(samples)
    audible = level["pause"] == 0
    heard = pitch.frame_pitch(sound, audible)
    return {
        **level,
        **spectrum.frame_spectrum(power),
        "zero crossings": spectrum.zero_crossings(sound, len(audible)),
        **heard,
        "speech": speech,
        "spoken": (speech > 0.5).astype(np.float64),
        "sound without speech": audible * (1.0 - speech),
        "pitch without speech": heard["voiced"] * (1.0 - speech),
    }


def _means(series: dict[str, np.ndarray], starts: np.ndarray) -> dict[str, np.ndarray]:
    means = token_means(np.stack(list(series.values())), starts)
    return dict(zip(series, means, strict=True))


def _deviations(series: dict[str, np.ndarray], starts: np.ndarray) -> dict[str, np.ndarray]:
    deviations = token_deviations(np.stack(list(series.values())), starts)
    return {f"{name} within": row for name, row in zip(series, deviations, strict=True)}


def _crest(frames: dict[str, np.ndarray], starts: np.ndarray) -> np.ndarray:
    """Return how far the peak of each token is above its level, in decibels, [T]."""
    peak = np.maximum.reduceat(frames["peak"], starts)
    return peak - 10 * np.log10(token_means(10 ** (frames["level"] / 10), starts))


def _tabulate(
    tokens: dict[str, np.ndarray], clip: dict[str, float], count: int, parts: tuple[int, ...]
) -> SoundTokens:
    whole = np.tile(np.array(list(clip.values())), (count, 1))
    values = np.concatenate([np.stack(list(tokens.values()), axis=1), whole], axis=1)
    return SoundTokens(names=(*tokens, *clip), values=values.astype(np.float32), parts=parts)
