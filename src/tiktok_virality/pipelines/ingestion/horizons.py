"""Views at a fixed time after posting, from snapshots of the counts."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from tiktok_virality.media.limits import HorizonParameters
from tiktok_virality.pipelines.ingestion.columns import MOMENT

ONE_DAY: Final = np.timedelta64(1, "D")


def horizon_views(
    posts: pd.DataFrame, snapshots: pd.DataFrame | None, horizons: HorizonParameters
) -> pd.DataFrame:
    """Return ``video_id`` and ``views_at_<n>d`` for every horizon that some snapshot is near.

    The count is that of the snapshot nearest to the horizon, never one between two: views do not
    grow evenly. A video without a time of posting, or without a snapshot near enough, has none.

    Args:
        posts: ``video_id``, ``posted_at``, ``captured_at``, ``views``, ``reason``; several rows of
            a video are snapshots of it.
        snapshots: ``video_id``, ``captured_at``, ``views``; ``None`` where there are none.
        horizons: How many days, and how far from it a snapshot may lie.
    """
    usable = posts[posts["reason"].isna()]
    ages = _snapshots(posts, snapshots).merge(usable[["video_id", "posted_at"]], on="video_id")
    age = ages["captured_at"] - ages["posted_at"]
    ages["age_days"] = age.to_numpy() / ONE_DAY
    ages = ages.dropna(subset=["age_days"])
    found = usable[["video_id"]].reset_index(drop=True)
    for days in horizons.days:
        distance = (ages["age_days"] - days).abs()
        near = ages.assign(distance=distance)[distance <= horizons.tolerance_days]
        nearest = near.sort_values(["distance", "captured_at"]).drop_duplicates("video_id")
        if len(nearest):
            views = nearest.set_index("video_id")["views"].rename(f"views_at_{days}d")
            found = found.join(views.astype("Int64"), on="video_id")
    return found


def _snapshots(posts: pd.DataFrame, snapshots: pd.DataFrame | None) -> pd.DataFrame:
    """Return every count that is known with its time, those of the posts among them."""
    counted = [posts] if snapshots is None else [posts, snapshots]
    rows = [
        pd.DataFrame(
            {
                "video_id": each["video_id"].astype("str"),
                "captured_at": pd.to_datetime(each["captured_at"], utc=True).astype(MOMENT),
                "views": each["views"].astype("Int64"),
            }
        )
        for each in counted
    ]
    return pd.concat(rows, ignore_index=True).dropna()
