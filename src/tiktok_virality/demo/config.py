"""What the planted corpus is like: its size, its clips, and the rule behind its views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from tiktok_virality.schema import Config

World = Literal["mixed", "additive", "interaction", "visual", "spoken", "creator", "noise"]

MAX_CREATORS: Final = 256
HEIGHT_STEP: Final = 32
"""Heights divide by this, so that both sides of a 9:16 clip are whole and even."""


class EffectSizes(Config):
    """How much each cause moves the views: standard deviations of natural log views.

    Attributes:
        visual: What is seen: how fast things move and how often the picture cuts.
        spoken: What is heard: what is said and how fast.
        interaction: The product of the two, which neither shows alone.
        creator: Who posts.
        noise: What nothing explains.
    """

    visual: float = Field(default=0.0, ge=0)
    spoken: float = Field(default=0.0, ge=0)
    interaction: float = Field(default=0.0, ge=0)
    creator: float = Field(default=0.0, ge=0)
    noise: float = Field(default=0.0, gt=0)


WORLDS: Final[Mapping[World, EffectSizes]] = {
    "mixed": EffectSizes(visual=1.4, spoken=1.4, interaction=0.2, creator=0.2, noise=0.3),
    "additive": EffectSizes(visual=1.0, spoken=1.0, creator=0.3, noise=0.6),
    "interaction": EffectSizes(interaction=1.5, creator=0.3, noise=0.6),
    "visual": EffectSizes(visual=1.4, creator=0.3, noise=0.6),
    "spoken": EffectSizes(spoken=1.4, creator=0.3, noise=0.6),
    "creator": EffectSizes(creator=1.4, noise=0.6),
    "noise": EffectSizes(noise=1.4),
}
"""The rules to choose from. The clips are the same in all of them; only the views differ."""


class DemoParameters(Config):
    """The parameters of the demo pipeline.

    Attributes:
        clips: How many to make.
        creators: How many invented accounts post them.
        world: Which of `WORLDS` decides the views.
        min_seconds: Shortest clip.
        max_seconds: Longest clip.
        heights: Heights to choose from, in pixels; the width is 9/16 of it.
        silent_share: Share of the clips that have no audio track.
        music_share: Share of the clips whose track holds music and no word.
    """

    clips: int = Field(default=168, ge=1, le=100_000)
    creators: int = Field(default=56, ge=1, le=MAX_CREATORS)
    world: World = "mixed"
    min_seconds: float = Field(default=6.0, ge=4, le=60)
    max_seconds: float = Field(default=7.0, ge=4, le=60)
    heights: tuple[int, ...] = Field(default=(512, 640), min_length=1)
    silent_share: float = Field(default=0.05, ge=0, le=0.5)
    music_share: float = Field(default=0.04, ge=0, le=0.5)

    @property
    def speaking_share(self) -> float:
        """Share of the clips in which somebody speaks."""
        return 1 - self.silent_share - self.music_share

    @field_validator("heights")
    @classmethod
    def _check_heights(cls, heights: tuple[int, ...]) -> tuple[int, ...]:
        wrong = [height for height in heights if height < 128 or height % HEIGHT_STEP]
        if wrong:
            raise ValueError(f"{wrong} are not multiples of {HEIGHT_STEP} from 128 up")
        return heights

    @model_validator(mode="after")
    def _check_durations(self) -> Self:
        if self.min_seconds > self.max_seconds:
            raise ValueError(
                f"min_seconds={self.min_seconds} is more than max_seconds={self.max_seconds}"
            )
        return self
