"""Refuses what would make results look better than they are."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import pandas as pd

from tiktok_virality.evaluation.splits import GROUPING_COLUMNS
from tiktok_virality.schema import POST_OUTCOME_COLUMNS, DataError

EXAMPLES: Final = 3


def check_features(names: Iterable[str]) -> None:
    """Refuse features that exist only once a video has been watched.

    Raises:
        DataError: Naming them.
    """
    forbidden = sorted(POST_OUTCOME_COLUMNS.intersection(names))
    if forbidden:
        raise DataError(
            f"Known only after posting, so never a feature: {', '.join(forbidden)}. Remove "
            f"{'it' if len(forbidden) == 1 else 'them'} from the features."
        )


def check_no_leak(manifest: pd.DataFrame, splits: pd.DataFrame) -> None:
    """Refuse splits that share a video, a creator or a duplicate.

    Args:
        manifest: ``video_id``, ``creator_id`` (missing where unknown) and ``duplicate_group``.
        splits: ``video_id`` and ``split``.

    Raises:
        DataError: Naming what is shared and by which splits.
    """
    _refuse_crossing(splits, "video_id")
    rows = splits.merge(manifest[["video_id", *GROUPING_COLUMNS]], on="video_id")
    for column in GROUPING_COLUMNS:
        _refuse_crossing(rows.dropna(subset=[column]), column)


def _refuse_crossing(rows: pd.DataFrame, column: str) -> None:
    reached = rows.groupby(column)["split"].agg(lambda names: sorted(set(names)))
    crossing = reached[reached.map(len) > 1]
    if crossing.empty:
        return
    shown = "; ".join(
        f"{key!r} is in {' and '.join(names)}" for key, names in crossing.head(EXAMPLES).items()
    )
    more = len(crossing) - EXAMPLES
    raise DataError(
        f"The same {column} is in more than one split, so test results would not be of unseen "
        f"clips: {shown}{f'; and {more} more' if more > 0 else ''}. Make the splits anew: "
        "`kedro run --pipeline ingestion`."
    )
