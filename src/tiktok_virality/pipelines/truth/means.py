"""Means over worlds, each world one observation."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Final

INTERVAL: Final = 0.95


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean and the ends of its 95 % interval by Student's t; at least two values."""
    from scipy.stats import t

    mean = statistics.fmean(values)
    error = statistics.stdev(values) / math.sqrt(len(values))
    reach = float(t.ppf((1 + INTERVAL) / 2, len(values) - 1)) * error
    return mean, mean - reach, mean + reach
