"""How results are evaluated and shown: the parameters of the reporting pipeline."""

from __future__ import annotations

from pydantic import Field

from tiktok_virality.evaluation.conformal import Method
from tiktok_virality.schema import Config


class ReportingParameters(Config):
    """The parameters of the reporting pipeline.

    Attributes:
        resamples: Bootstrap resamples behind every interval.
        confidence: Share of such intervals that should hold the truth; what is left is the level
            of every test.
        sign_flips: Random sign flips behind every p-value, where all of them would be more.
        sample_clips: Held-out clips that the report shows one by one.
    """

    resamples: int = Field(default=2000, ge=50, le=100_000)
    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    sign_flips: int = Field(default=20_000, ge=200, le=1_000_000)
    sample_clips: int = Field(default=8, ge=0, le=48)


class CertaintyParameters(Config):
    """Intervals for a single clip, and the flag for clips unlike those of the training split.

    Attributes:
        method: Whose intervals are shown: ``split`` gives every clip the same width, ``quantile``
            lets it depend on the clip.
        neighbours: Training clips that a clip is compared with.
        novelty_alpha: A clip is flagged when its p-value is no larger: the share of false alarms.
        altered_clips: Test clips that are altered to see whether the flag notices.
        redivisions: How often the clips are divided, and predictors trained and calibrated, anew to
            see how often intervals hold the truth whatever the division.
    """

    method: Method = "split"
    neighbours: int = Field(default=5, ge=1)
    novelty_alpha: float = Field(default=0.05, gt=0, lt=1)
    altered_clips: int = Field(default=40, ge=1)
    redivisions: int = Field(default=0, ge=0, le=100)
