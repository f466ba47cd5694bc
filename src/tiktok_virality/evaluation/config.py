"""How results are evaluated and shown: the parameters of the reporting pipeline."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tiktok_virality.evaluation.conformal import Method
from tiktok_virality.media.limits import SplitStrategy
from tiktok_virality.schema import Config, ParameterError

Scheme = Literal["auto", "holdout", "cross_fitted"]


class EvaluationParameters(Config):
    """Which clips are tested.

    Attributes:
        scheme: ``cross_fitted`` tests every clip, by models that saw nothing of its creator or its
            copies; ``holdout`` tests the test split of ``ingestion.splits``; ``auto`` is the
            former below `cross_fitted_below` clips, unless time divides them.
        folds: How many models of each kind cross-fitting trains, each on the other folds.
        cross_fitted_below: So many clips are worth the cost no more: a test split of a sixth of
            3,000 clips knows R² to about 0.05, and every model would be trained five times.
    """

    scheme: Scheme = "auto"
    folds: int = Field(default=5, ge=3, le=50)
    cross_fitted_below: int = Field(default=3000, ge=0)

    def is_cross_fitted(self, clips: int, strategy: SplitStrategy) -> bool:
        """Return whether so many clips are cross-fitted.

        Raises:
            ParameterError: They shall be, and time divides them.
        """
        by_time = strategy in ("chronological", "group_chronological")
        if self.scheme == "cross_fitted" and by_time:
            raise ParameterError(
                "evaluation.scheme is cross_fitted, which tests every clip, and "
                f"ingestion.splits.strategy is {strategy}, which tests the latest. Set the scheme "
                "to holdout, or the strategy to group."
            )
        if self.scheme == "auto":
            return clips < self.cross_fitted_below and not by_time
        return self.scheme == "cross_fitted"


class ReportingParameters(Config):
    """The parameters of the reporting pipeline.

    Attributes:
        confidence: Share of the intervals of metrics that should hold the truth; what is left is
            the level of every test.
        sign_flips: Random sign flips behind every p-value, where all of them would be more.
        sample_clips: Held-out clips that the report shows one by one.
        explained_clips: Held-out clips of which a page beside the report says what moved the
            answer: drawn at random where there are more.
    """

    confidence: float = Field(default=0.95, ge=0.5, lt=1)
    sign_flips: int = Field(default=20_000, ge=200, le=1_000_000)
    sample_clips: int = Field(default=8, ge=0, le=48)
    explained_clips: int = Field(default=200, ge=0, le=2000)


class CertaintyParameters(Config):
    """Intervals for a single clip, and the flag for clips unlike those of the training split.

    Attributes:
        method: Whose intervals are shown: ``split`` gives every clip the same width, ``quantile``
            lets it depend on the clip.
        neighbours: Training clips that a clip is compared with.
        novelty_alpha: A clip is flagged when its p-value is no larger: the share of false alarms.
        altered_clips: Test clips that are altered to see whether the flag notices.
    """

    method: Method = "split"
    neighbours: int = Field(default=5, ge=1)
    novelty_alpha: float = Field(default=0.05, gt=0, lt=1)
    altered_clips: int = Field(default=40, ge=1)
