"""A line of view counts, as the clip cards draw it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ViewScale:
    """A logarithmic line from ``low`` to ``high`` views, both whole powers of ten."""

    low: float
    high: float

    @classmethod
    def around(cls, views: Sequence[float]) -> ViewScale:
        """Return the shortest line that holds these counts; from 1 to 10 where there are none."""
        decades = [math.log10(max(count, 1.0)) for count in views] or [0.0]
        low = math.floor(min(decades))
        return cls(low=10.0**low, high=10.0 ** max(math.ceil(max(decades)), low + 1))

    def position(self, views: float) -> float:
        """Return where a count lies, from 0 to 100."""
        share = math.log(max(views, self.low) / self.low) / math.log(self.high / self.low)
        return round(100 * min(share, 1.0), 2)

    @property
    def decades(self) -> list[float]:
        """Return the whole powers of ten on the line."""
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        return [10.0**decade for decade in range(first, last + 1)]
