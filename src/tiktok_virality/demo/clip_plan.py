"""What one clip shows and says: everything that decides its pixels and its sound."""

from __future__ import annotations

from typing import Final, Literal

import pandas as pd

from tiktok_virality.schema import Config, digest

Codec = Literal["h264", "hevc"]
Sound = Literal["speech", "music", "none"]

FONTS: Final = ("DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSansMono-Bold", "STIXGeneralBol")
"""Of words on screen: files that come with matplotlib."""
LANGUAGE_VOICES: Final = {"en": "en-us", "es": "es", "de": "de", "fr": "fr"}
"""The voice of eSpeak NG for each language."""
VOICE_VARIANTS: Final = ("", "+m3", "+f2", "+m1", "+f4")
"""Speakers: each speaks every language."""
VOICES: Final = tuple(LANGUAGE_VOICES["en"] + variant for variant in VOICE_VARIANTS)
"""Those of English."""


class ClipPlan(Config):
    """One clip before it is rendered.

    Attributes:
        video_id: Its id.
        creator: The account, written into the picture.
        width: In pixels.
        height: In pixels.
        duration_seconds: Of picture and sound.
        fps: Frames per second.
        codec: Of the picture.
        gop_frames: Most frames from one key frame to the next.
        motion_speed: How far a shape moves in a second, in picture heights.
        opening: How much faster shapes are in the first second, as a share of the most.
        cuts_per_second: How often the scene changes, at even distances.
        first_cut_share: When the first cut is, as a share of the distance between cuts.
        look: Seed of the creator's room, which all of his clips share.
        backdrop: Pattern on the wall, one of `factors.BACKDROPS`.
        texture_scale: From one stripe or dot to the next, in picture heights.
        shape: One of `factors.SHAPES`.
        objects: How many of them.
        object_size: Their radius, in picture heights.
        action_x: Where they are, 0 (left) to 1 (right).
        action_y: The same from top to bottom.
        warmth: Of the palette, from blue (0) over green to orange (1).
        saturation: Of the colours, 0 to 1.
        brightness: Of the picture, 0 to 1.
        brightening: How much brighter the end is than the beginning.
        contrast: How far bright and dark lie apart, beside the middle one.
        shake: How far the camera shakes, in picture heights.
        zoom: How fast things grow, as a rate per second.
        screen_text: Words on screen, line by line.
        font: Of the words on screen, one of `FONTS`.
        text_size: Height of their letters, in picture heights.
        text_place: Where they are, 0 (top) to 1 (bottom).
        seed: Of the shapes and the music.
        sound: What the track holds, if there is one.
        script: What is said; empty where nobody speaks.
        words_per_minute: How fast, as eSpeak NG counts.
        voice: Of eSpeak NG, with a language and a speaker.
        pitch: Of the voice, 0 to 100.
        pause_seconds: Silence in the middle of the speech.
        speech_start_share: Where the speech lies between its earliest and latest start.
        backing_music: Whether music lies under the speech.
        music_bpm: Notes of the music per minute.
        music_octave: How high it is, in octaves above its lowest.
        loudness_db: Of the loudest sample of the track, in dB of full scale.
    """

    video_id: str
    creator: str
    width: int
    height: int
    duration_seconds: float
    fps: int
    codec: Codec
    gop_frames: int
    motion_speed: float
    opening: float
    cuts_per_second: float
    first_cut_share: float
    look: int
    backdrop: str
    texture_scale: float
    shape: str
    objects: int
    object_size: float
    action_x: float
    action_y: float
    warmth: float
    saturation: float
    brightness: float
    brightening: float
    contrast: float
    shake: float
    zoom: float
    screen_text: str
    font: str
    text_size: float
    text_place: float
    seed: int
    sound: Sound
    script: str
    words_per_minute: int
    voice: str
    pitch: int
    pause_seconds: float
    speech_start_share: float
    backing_music: bool
    music_bpm: float
    music_octave: float
    loudness_db: float

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return round(self.duration_seconds * self.fps)

    @property
    def cut_times_seconds(self) -> list[float]:
        """When a new scene begins, the first one not counted."""
        distance = 1 / self.cuts_per_second
        times: list[float] = []
        time = self.first_cut_share * distance
        while time < self.duration_seconds:
            times.append(time)
            time += distance
        return times

    @property
    def digest(self) -> str:
        """Changes whenever the rendered clip would."""
        return digest(self.model_dump(mode="json"))


def clip_plans(demo_clips: pd.DataFrame) -> list[ClipPlan]:
    """Return the plans in the rows of the table; its other columns do not reach the renderer."""
    columns = demo_clips[list(ClipPlan.model_fields)]
    return [ClipPlan.model_validate(row) for row in columns.to_dict("records")]
