"""How values on the scale of a target are called, and written as what they stand for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tiktok_virality.evaluation.targets import Target
from tiktok_virality.pipelines.reporting.wording import count, number


@dataclass(frozen=True, kw_only=True)
class TargetWords:
    """The words of one target.

    Attributes:
        target: What the models learned to predict.
    """

    target: Target

    @property
    def counts(self) -> bool:
        """Whether values are log1p of something that is counted, and not classes."""
        return self.target.parameters.kind != "quartile"

    @property
    def name(self) -> str:
        """What is predicted, such as ``views``."""
        return self.target.name

    @property
    def scale(self) -> str:
        """What errors are measured in, such as ``log views``."""
        return f"log {self.name}" if self.counts else "quartile classes"

    @property
    def unit(self) -> str:
        """The same as a formula."""
        return self.target.unit

    def natural(self, value: float) -> float:
        """Return what a value stands for: a count, or the class that it is."""
        return float(np.expm1(value)) if self.counts else float(value)

    def written(self, natural: float) -> str:
        """Write what a value stands for: ``541K``, or the class ``2.3``."""
        return count(natural) if self.counts else number(natural, 1)
