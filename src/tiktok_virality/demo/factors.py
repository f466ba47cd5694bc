"""What varies from clip to clip, each thing independently of all others, and how it is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import numpy as np
import pandas as pd

from tiktok_virality.demo.scripts import THEMES
from tiktok_virality.schema import Config

Sense = Literal["picture", "sound", "words"]
Needed = Literal["always", "track", "speech", "music", "screen words"]

SENSES: Final[tuple[Sense, ...]] = ("picture", "sound", "words")
ABSENT: Final = "none"
"""The category of a clip that lacks what it is about, such as the theme where nobody speaks."""

BACKDROPS: Final = ("stripes", "dots", "checks", "rings")
SHAPES: Final = ("circle", "ring", "square", "flower")
LANGUAGES: Final = ("en", "es", "de", "fr")
MOODS: Final = ("statement", "question", "exclamation")
MUSIC: Final = ("none", "music")
BACKING_MUSIC_SHARE: Final = 0.7
"""Of the clips in which somebody speaks."""


class Factor(Config):
    """Something that a person notices in a clip.

    Attributes:
        name: Column of the clips.
        title: In words.
        unit: Of its values; empty for categories.
        sense: Whether it is seen, heard, or read in the post.
        low: Least value; of categories, nothing.
        high: Greatest value.
        whole: Whether values are whole numbers, all equally likely.
        options: Its categories, all equally likely; empty for numbers.
        needs: What a clip must have for the factor to be there at all.
    """

    name: str
    title: str
    unit: str = ""
    sense: Sense
    low: float = 0.0
    high: float = 1.0
    whole: bool = False
    options: tuple[str, ...] = ()
    needs: Needed = "always"

    @property
    def limits(self) -> tuple[float, float]:
        """Least and greatest value."""
        return self.low, self.high

    def values(self, unit: np.ndarray) -> np.ndarray:
        """Turn uniform draws from [0, 1) into values, [N]."""
        if self.options:
            return np.array(self.options)[_choose(unit, len(self.options))]
        if self.whole:
            return int(self.low) + _choose(unit, int(self.high - self.low) + 1)
        return self.low + (self.high - self.low) * unit


_THEMES: Final = tuple(THEMES)


def _seen(name: str, title: str, unit: str, low: float, high: float) -> Factor:
    return Factor(name=name, title=title, unit=unit, sense="picture", low=low, high=high)


def _heard(name: str, title: str, unit: str, low: float, high: float, needs: Needed) -> Factor:
    return Factor(name=name, title=title, unit=unit, sense="sound", low=low, high=high, needs=needs)


_ALL: Final = (
    _seen("warmth", "palette, from blue over green to orange", "share of the way", 0, 1),
    _seen("saturation", "saturation of the colours", "share of the most", 0.05, 1),
    _seen("brightness", "brightness of the picture", "share of white", 0.3, 0.7),
    _seen("brightening", "change of brightness over the clip", "share of white", -0.3, 0.3),
    _seen("contrast", "contrast", "times the middle one", 0.4, 1.6),
    _seen("objects", "number of objects", "objects", 1, 12).model_copy(update={"whole": True}),
    _seen("object_size", "size of the objects", "picture heights", 0.04, 0.13),
    Factor(name="shape", title="shape of the objects", sense="picture", options=SHAPES),
    Factor(name="backdrop", title="texture of the backdrop", sense="picture", options=BACKDROPS),
    _seen("texture_scale", "scale of the texture", "picture heights", 0.05, 0.25),
    _seen("shake", "camera shake", "picture heights", 0, 0.03),
    _seen("zoom", "camera zoom, out to in", "growth per second", -0.08, 0.08),
    _seen("cuts_per_second", "rate of cuts", "per second", 0.2, 1.0),
    _seen("motion_speed", "speed of the objects", "picture heights per second", 0.03, 0.6),
    _seen("opening", "motion that only the first second has", "share of the most", 0, 1),
    _seen("action_x", "where the action is, left to right", "share of the room", 0, 1),
    _seen("action_y", "where the action is, top to bottom", "share of the room", 0, 1),
    _seen("screen_lines", "lines of words on screen", "lines", 0, 4).model_copy(
        update={"whole": True}
    ),
    Factor(
        name="screen_theme",
        title="theme of the words on screen",
        sense="picture",
        options=_THEMES,
        needs="screen words",
    ),
    Factor(
        name="theme", title="theme of the speech", sense="sound", options=_THEMES, needs="speech"
    ),
    _heard("words_per_minute", "speed of the speech", "words per minute", 150, 230, "speech"),
    Factor(
        name="language",
        title="language of the speech",
        sense="sound",
        options=LANGUAGES,
        needs="speech",
    ),
    _heard("pitch", "pitch of the voice", "eSpeak NG's scale of 100", 10, 90, "speech"),
    _heard("pause_seconds", "pause within the speech", "seconds", 0.0, 0.8, "speech"),
    _heard("loudness_db", "loudness of the track", "dB below full scale", -20, -1, "track"),
    Factor(name="music", title="music or none", sense="sound", options=MUSIC),
    _heard("music_bpm", "tempo of the music", "beats per minute", 70, 190, "music"),
    _heard("music_octave", "height of the music", "octaves above 110 Hz", 0, 3, "music"),
    Factor(name="caption_theme", title="theme of the caption", sense="words", options=_THEMES),
    Factor(name="caption_mood", title="mood of the caption", sense="words", options=MOODS),
    Factor(
        name="caption_remarks",
        title="remarks in the caption",
        unit="sentences",
        sense="words",
        high=4,
        whole=True,
    ),
    Factor(
        name="hashtags",
        title="number of hashtags",
        unit="hashtags",
        sense="words",
        high=8,
        whole=True,
    ),
)

FACTORS: Final[Mapping[str, Factor]] = {factor.name: factor for factor in _ALL}
"""By name. What follows from how a clip is encoded (size, codec, duration) is no factor."""


def factor_table(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the true factors of clips, a row per ``video_id`` and a column per factor.

    Numbers are NaN and categories `ABSENT` where a clip lacks what the factor is about.
    """
    there = presence(clips)
    columns: dict[str, np.ndarray] = {}
    for factor in FACTORS.values():
        has = there[factor.needs]
        if factor.name == "music":
            columns["music"] = np.where(there["music"], *reversed(MUSIC))
        elif factor.options:
            columns[factor.name] = np.where(has, clips[factor.name].to_numpy(dtype=object), ABSENT)
        else:
            columns[factor.name] = np.where(has, clips[factor.name].to_numpy(dtype=float), np.nan)
    return pd.DataFrame(columns, index=pd.Index(clips["video_id"], name="video_id"))


def presence(clips: pd.DataFrame) -> dict[Needed, np.ndarray]:
    """Return which clips have what a factor may need, bool [N] each."""
    sound = clips["sound"].to_numpy()
    speech = sound == "speech"
    backing = clips["backing_music"].to_numpy(dtype=bool)
    return {
        "always": np.ones(len(clips), bool),
        "track": sound != "none",
        "speech": speech,
        "music": (sound == "music") | (speech & backing),
        "screen words": clips["screen_lines"].to_numpy() > 0,
    }


def describe_factors() -> pd.DataFrame:
    """Return a row per factor: what it is called, its unit, and the sense by which it is known.

    Returns:
        Columns ``factor``, ``title``, ``unit`` (empty for categories), ``sense``, ``low``,
        ``high``, ``whole``, ``options`` (empty for numbers) and ``needs``.
    """
    rows = [factor.model_dump() for factor in FACTORS.values()]
    return pd.DataFrame(rows).rename(columns={"name": "factor"})


def _choose(unit: np.ndarray, options: int) -> np.ndarray:
    """Turn uniform draws into indices of equally likely options."""
    return np.minimum((unit * options).astype(int), options - 1)
