"""Refuses what would make results look better than they are."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import pandas as pd

from tiktok_virality.evaluation.cross_fitting import FOLD, is_cross_fitted
from tiktok_virality.evaluation.splits import KEPT_TOGETHER
from tiktok_virality.media.limits import SplitStrategy
from tiktok_virality.schema import POST_OUTCOME_COLUMNS, SPLITS, DataError

EXAMPLES: Final = 3
MAKE_ANEW: Final = "Make the splits anew: `kedro run --pipeline ingestion`."


def check_features(names: Iterable[str]) -> None:
    """Refuse features that exist only once a video has been watched; views at any time are.

    Raises:
        DataError: Naming them.
    """
    forbidden = sorted(
        name for name in set(names) if name in POST_OUTCOME_COLUMNS or name.startswith("views")
    )
    if forbidden:
        raise DataError(
            f"Known only after posting, so never a feature: {', '.join(forbidden)}. Remove "
            f"{'it' if len(forbidden) == 1 else 'them'} from the features."
        )


def check_no_leak(manifest: pd.DataFrame, splits: pd.DataFrame) -> None:
    """Refuse splits that share a video or a duplicate, or what their strategy keeps apart.

    Creators may be in several splits under ``random`` and ``chronological``; duplicates never. A
    chronological test split must have been posted after everything else.

    Args:
        manifest: ``video_id``, ``creator_id`` (missing where unknown), ``duplicate_group``, and
            ``posted_at`` for a chronological strategy.
        splits: ``video_id``, ``split`` and ``strategy``; without a strategy, as of ``group``. Where
            every clip is tested, its ``fold`` counts instead of the split.

    Raises:
        DataError: Naming what is shared and by which splits, or what is out of order.
    """
    strategy = _strategy(splits)
    _refuse_crossing(splits, "video_id")
    place = splits[FOLD].map("fold {}".format) if is_cross_fitted(splits) else splits["split"]
    rows = splits[["video_id"]].assign(split=place).merge(manifest, on="video_id")
    for column in KEPT_TOGETHER[strategy]:
        _refuse_crossing(rows.dropna(subset=[column]), column)
    if strategy == "chronological":
        _refuse_disorder(rows, [[split] for split in SPLITS])
    elif strategy == "group_chronological":
        _refuse_disorder(rows, [SPLITS[:-1], SPLITS[-1:]])


def _strategy(splits: pd.DataFrame) -> SplitStrategy:
    """Return the one strategy that made the table.

    Raises:
        DataError: There are several, or one that nobody knows.
    """
    if "strategy" not in splits:
        return "group"
    named = set(splits["strategy"])
    for strategy in KEPT_TOGETHER:
        if named == {strategy}:
            return strategy
    raise DataError(
        f"The splits say that they were made by {sorted(map(str, named))}, which is not one of "
        f"{', '.join(KEPT_TOGETHER)}. {MAKE_ANEW}"
    )


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
        f"clips: {shown}{f'; and {more} more' if more > 0 else ''}. {MAKE_ANEW}"
    )


def _refuse_disorder(rows: pd.DataFrame, periods: Iterable[Iterable[str]]) -> None:
    """Refuse a video that was not posted before every video of the next period."""
    undated = rows.loc[rows["posted_at"].isna(), "video_id"]
    if len(undated):
        raise DataError(
            f"The splits are said to follow time, and when {undated.iloc[0]!r} was posted is not "
            f"known, nor of {len(undated) - 1} others. {MAKE_ANEW}"
        )
    parts = [rows[rows["split"].isin(list(period))] for period in periods]
    for earlier, later in pairwise(part for part in parts if len(part)):
        last = earlier.sort_values("posted_at").iloc[-1]
        first = later.sort_values("posted_at").iloc[0]
        if last["posted_at"] >= first["posted_at"]:
            raise DataError(
                f"The splits are not in the order of time: {last['video_id']!r} of "
                f"{last['split']} was posted at {last['posted_at']}, and {first['video_id']!r} of "
                f"{first['split']} at {first['posted_at']}. {MAKE_ANEW}"
            )
