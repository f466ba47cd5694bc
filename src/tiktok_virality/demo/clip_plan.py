"""What one clip shows and says: everything that decides its pixels and its sound."""

from __future__ import annotations

from typing import Final, Literal

import pandas as pd

from tiktok_virality.schema import Config, digest

Codec = Literal["h264", "hevc"]
Sound = Literal["speech", "music", "none"]

BACKDROPS: Final = ("gradient", "glow", "rays", "stripes")
SHAPES: Final = ("circle", "ring", "square", "flower")
VOICES: Final = (
    "en-us",
    "en-us+m3",
    "en-us+f2",
    "English (Great Britain)",
    "English (Great Britain)+m1",
)


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
        cuts_per_second: How often the scene changes, at even distances.
        first_cut_share: When the first cut is, as a share of the distance between cuts.
        look: Seed of the creator's room and colours, which all of his clips share.
        backdrop: Pattern on the wall, one of `BACKDROPS`.
        shape: One of `SHAPES`.
        seed: Of the shapes and the music.
        sound: What the track holds, if there is one.
        script: What is said; empty where nobody speaks.
        words_per_minute: How fast, as eSpeak NG counts.
        voice: One of `VOICES`.
        pitch: Of the voice, 0 to 100.
        speech_start_share: Where the speech lies between its earliest and latest start.
        backing_music: Whether quiet music lies under the speech.
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
    cuts_per_second: float
    first_cut_share: float
    look: int
    backdrop: str
    shape: str
    seed: int
    sound: Sound
    script: str
    words_per_minute: int
    voice: str
    pitch: int
    speech_start_share: float
    backing_music: bool

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
