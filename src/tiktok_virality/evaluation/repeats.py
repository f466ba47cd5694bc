"""How much of a result is the seed: the spread over trainings of the same model."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tiktok_virality.evaluation.metrics import METRICS


def seed_deviations(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """Return the standard deviation of every metric over the seeds of one model on one split.

    Args:
        rows: Of the leaderboard, one per seed.

    Returns:
        ``<metric>_seed_sd``; ``None`` where fewer than two seeds have the metric.
    """
    deviations: dict[str, float | None] = {}
    for name in METRICS:
        values = [row[name] for row in rows if row[name] is not None]
        deviations[f"{name}_seed_sd"] = statistics.stdev(values) if len(values) > 1 else None
    return deviations
