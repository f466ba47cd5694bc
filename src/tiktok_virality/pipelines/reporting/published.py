"""Table 2 of the paper, filled in with what a run reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.models.published_configs import PublishedFaults
from tiktok_virality.models.roles import PUBLISHED

SHOWN: Final = (*PUBLISHED, "ensemble", "training_mean", "training_median")
REPORTED: Final[Mapping[str, Mapping[str, float]]] = {
    "published": {"mse": 72.96e6, "mae": 4.89e3},
    "training_mean": {"mse": 73.56e6},
    "training_median": {"mae": 4.73e3},
}
"""What the paper reports of its 100 held-out clips, in thousands of views."""


def published_table(
    leaderboard: Sequence[Mapping[str, Any]], sampling: FrameSampling, faults: PublishedFaults
) -> list[dict[str, Any]]:
    """Return the errors of the published models, ours and the constants on held-out clips.

    Args:
        leaderboard: Rows by model, split and seed, the main seed first.
        sampling: Which frames were read, and at what size.
        faults: Of the published code, those that were on.

    Returns:
        By model: ``every_nth`` and ``shrink`` of the frames; ``n`` clips; ``mse`` in squared
        thousands of views and ``mae`` in thousands; ``reported_mse`` and ``reported_mae``, what the
        paper says of other clips, null where it says nothing; ``faults`` that were on.
    """
    tested = [row for row in leaderboard if row["split"] == "test"]
    first = {row["model"]: row for row in reversed(tested)}
    on = [name for name, value in faults.model_dump().items() if value]
    return [
        {
            "model": model,
            "every_nth": sampling.every_nth,
            "shrink": sampling.shrink,
            "n": first[model]["n"],
            "mse": first[model]["mse_views"],
            "mae": first[model]["mae_views"],
            "reported_mse": REPORTED.get(model, {}).get("mse"),
            "reported_mae": REPORTED.get(model, {}).get("mae"),
            "faults": on,
        }
        for model in SHOWN
    ]
