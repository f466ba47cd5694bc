"""How results are evaluated and shown: the parameters of the reporting pipeline."""

from __future__ import annotations

from pydantic import Field

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
