"""What the columns of ingestion's tables may hold; their schemas are in `manifest`.

The schemas need pandera, which scoring does without.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

MAX_VIEWS: Final = 100_000_000_000
"""More views than any video has; a larger count is a mistake."""

MACHINE_FAULT: Final = "fault of the machine"
"""Not of the clip: the next run tries again."""

REJECTION_REASONS: Final = (
    "no file",
    "no metadata",
    "unreadable",
    "no video stream",
    "unknown codec",
    "too short",
    "too long",
    "too large",
    "bad count",
    "duplicate id",
    "identical content",
    "took too long",
    "took too much memory",
    MACHINE_FAULT,
)

MOMENT: Final = pd.DatetimeTZDtype("us", "UTC")

HORIZON_COLUMNS: Final = r"^views_at_\d+d$"
"""The views that a video had so many days after posting, where snapshots say so."""
