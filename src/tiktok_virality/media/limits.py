"""Which clips make up the corpus, and how it is divided: the parameters of ingestion."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from tiktok_virality.media.container import MOST_SECONDS
from tiktok_virality.media.motion import MotionSampling
from tiktok_virality.media.stills import StillSampling
from tiktok_virality.schema import SPLITS, Config, Split

TOLERANCE = 1e-6

SplitStrategy = Literal["group", "chronological", "group_chronological", "random"]


class ClipLimits(Config):
    """How long a clip may be, and how many frames it may have.

    What no clip exceeds, whatever is said here, is in `media.container`: a file that holds more is
    not read.

    Attributes:
        min_seconds: Shorter clips are rejected as too short.
        max_seconds: Clips whose picture or sound lasts longer are rejected as too long.
        max_frames_hz: Clips with more frames a second are rejected as too large.
    """

    min_seconds: float = Field(default=1.0, ge=0)
    max_seconds: float = Field(default=180.0, gt=0, le=MOST_SECONDS)
    max_frames_hz: float = Field(default=250.0, gt=0)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.min_seconds > self.max_seconds:
            raise ValueError(
                f"min_seconds={self.min_seconds} is more than max_seconds={self.max_seconds}"
            )
        return self


class WaveformParameters(Config):
    """When a track counts as sound.

    Attributes:
        silence_dbfs: A track that never gets louder is silent, in decibels of full scale.
    """

    silence_dbfs: float = Field(default=-60.0, le=0)


class DuplicateParameters(Config):
    """How much alike two clips are that count as copies of each other.

    Attributes:
        frames: Frames of a clip whose perceptual hashes are compared, evenly spread.
        copy_bits: Pictures that differ in at most so many bits of 64 are copies, whatever is heard.
        kin_bits: Pictures that differ in at most so many may be of copies, if the sound matches.
        sound_error: Sounds that differ in at most this share of their bits match.
        seconds_apart: Clips whose lengths differ by more are never copies by their sound.
    """

    frames: int = Field(default=16, ge=1, le=64)
    copy_bits: float = Field(default=10, ge=0, le=64)
    kin_bits: float = Field(default=18, ge=0, le=64)
    sound_error: float = Field(default=0.15, ge=0, le=0.5)
    seconds_apart: float = Field(default=2.0, ge=0)

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.copy_bits > self.kin_bits:
            raise ValueError(f"copy_bits={self.copy_bits} is more than kin_bits={self.kin_bits}")
        return self


class HorizonParameters(Config):
    """For how long after posting views are counted, where a source holds snapshots.

    Attributes:
        days: Each gives the manifest a column ``views_at_<n>d``.
        tolerance_days: The snapshot nearest to the horizon counts if it is no farther from it.
    """

    days: tuple[PositiveInt, ...] = (7,)
    tolerance_days: float = Field(default=1.0, gt=0)


class SplitParameters(Config):
    """How the videos are divided.

    Attributes:
        strategy: ``group`` keeps a creator's videos together; ``chronological`` tests on what was
            posted last; ``group_chronological`` does both, and leaves videos out for it;
            ``random`` shows how much knowing the creators flatters. Copies of a video stay
            together in all of them.
        train: Share of the videos that models learn from.
        validation: Share that decides when to stop training, and which model is best.
        calibration: Share that says how wide intervals must be, and nothing else.
        test: Share that nothing is fitted, chosen or calibrated on.
    """

    strategy: SplitStrategy = "group"
    train: float = Field(default=0.6, gt=0, lt=1)
    validation: float = Field(default=0.12, gt=0, lt=1)
    calibration: float = Field(default=0.12, gt=0, lt=1)
    test: float = Field(default=0.16, gt=0, lt=1)

    @property
    def shares(self) -> dict[Split, float]:
        """Share of the videos by split."""
        return {split: getattr(self, split) for split in SPLITS}

    @model_validator(mode="after")
    def _check_sum(self) -> Self:
        total = sum(self.shares.values())
        if abs(total - 1) > TOLERANCE:
            raise ValueError(
                f"{', '.join(SPLITS[:-1])} and {SPLITS[-1]} must add up to 1, not {total:g}"
            )
        return self


class IngestionParameters(Config):
    """The parameters of the ingestion pipeline.

    Attributes:
        limits: How long a clip may be, and how many frames it may have.
        stills: Which frames are kept large; which are kept small is ``visual.sampling``.
        motion: Between which frames motion is measured.
        waveforms: When a track counts as sound.
        duplicates: How much alike copies are.
        horizons: For how long after posting views are counted.
        splits: How the videos are divided.
    """

    limits: ClipLimits = ClipLimits()
    stills: StillSampling = StillSampling()
    motion: MotionSampling = MotionSampling()
    waveforms: WaveformParameters = WaveformParameters()
    duplicates: DuplicateParameters = DuplicateParameters()
    horizons: HorizonParameters = HorizonParameters()
    splits: SplitParameters = SplitParameters()
