"""What went into the results: clips of whom, what was lost on the way, what was planted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.cross_fitting import (
    FOLD,
    fold_name,
    held_out_ids,
    is_cross_fitted,
)
from tiktok_virality.evaluation.metrics import regression_metrics
from tiktok_virality.schema import SPLITS

EXAMPLES: Final = 3


def describe_split(rows: pd.DataFrame) -> dict[str, Any]:
    """Return counts, durations and views of some rows of the manifest."""
    low, median, high = np.quantile(rows["views"], [0.1, 0.5, 0.9])
    return {
        "clips": len(rows),
        "creators": int(rows["creator_id"].fillna(rows["video_id"]).nunique()),
        "seconds": float(rows["duration_seconds"].sum()),
        "median_seconds": float(rows["duration_seconds"].median()),
        "without_audio_track": int((~rows["has_audio"]).sum()),
        "views_low": float(low),
        "views_median": float(median),
        "views_high": float(high),
    }


def describe_rejects(rejected_videos: pd.DataFrame) -> list[dict[str, Any]]:
    """Return how many videos were rejected for each reason, most first, with examples."""
    return _by_reason(rejected_videos)


def describe_modality(name: str, table: StageTable) -> dict[str, Any]:
    """Return how many clips have a modality, and why others lack it."""
    absent = pd.DataFrame(table.absent.items(), columns=["video_id", "reason"])
    return {
        "modality": name,
        "done": len(table),
        "absent": _by_reason(absent.assign(detail="")),
        "failed": _by_reason(table.failed),
    }


def describe_planting(
    rows: pd.DataFrame, ground_truth: Mapping[str, Any] | None
) -> dict[str, Any] | None:
    """Return what a perfect model could reach on a synthetic corpus; ``None`` for real videos.

    Args:
        rows: The manifest with its splits.
        ground_truth: What was planted; ``None`` where nothing was.
    """
    planted: Mapping[str, Any] = (ground_truth or {}).get("clips", {})
    known = rows[rows["video_id"].isin(list(planted))]
    if ground_truth is None or known.empty:
        return None
    test = known[known["video_id"].isin(held_out_ids(rows))]
    truth = np.log1p(test["views"].to_numpy(dtype=np.float64))
    reachable = {}
    for modality, expected in ground_truth["reachable_r2"].items():
        perfect = [planted[i]["predictable_log_views"][modality] for i in test["video_id"]]
        on_test = regression_metrics(truth, perfect)["r2"] if perfect else np.nan
        reachable[modality] = {"expected": expected, "on_test": on_test}
    return {
        "clips": len(known),
        "of": len(rows),
        "world": ground_truth["world"],
        "reachable_r2": reachable,
    }


def split_rows(manifest: pd.DataFrame, splits: pd.DataFrame) -> pd.DataFrame:
    """Return the manifest with the part that each video is in: a fold, or one of `SPLITS`.

    Returns:
        The columns of both, and ``part``; rows in the order of the parts.
    """
    rows = manifest.merge(splits, on="video_id", validate="one_to_one")
    if is_cross_fitted(rows):
        return rows.assign(part=(rows[FOLD] + 1).map(fold_name)).sort_values(FOLD, kind="stable")
    order = rows["split"].map(SPLITS.index).sort_values(kind="stable").index
    return rows.assign(part=rows["split"]).loc[order]


def _by_reason(rows: pd.DataFrame) -> list[dict[str, Any]]:
    groups = [
        {
            "reason": str(reason),
            "count": len(group),
            "examples": [
                {"video_id": row.video_id, "detail": row.detail}
                for row in group.head(EXAMPLES).itertuples()
            ],
        }
        for reason, group in rows.groupby("reason")
    ]
    return sorted(groups, key=lambda group: (-group["count"], group["reason"]))
