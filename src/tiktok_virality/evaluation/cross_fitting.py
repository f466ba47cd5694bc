"""Cross-fitting: every clip is tested by models that saw nothing of its creator or its copies.

The clips are divided into folds of whole groups. For each fold, models learn from the others, of
which one tells when to stop; what they say of the fold is what leaderboard, tests and intervals
speak of (Schick, 1986; Chernozhukov et al., 2018, "Double/debiased machine learning"). What is
served afterwards has learned from all clips.
"""

from __future__ import annotations

from typing import Final

import pandas as pd

from tiktok_virality.evaluation.splits import KEPT_TOGETHER, divide_at_random, group_together
from tiktok_virality.media.limits import SplitStrategy
from tiktok_virality.schema import DataError, Split

FOLD: Final = "fold"
"""The column of a table of splits that says where each clip is tested, if all are."""

FEWEST_FOLDS: Final = 3
"""One is tested, one tells when to stop, and one at least teaches."""

MAIN_VALIDATION: Final = 0
"""The fold that tells the models that are served when to stop."""

ROLES: Final[tuple[Split, ...]] = ("test", "validation")
"""What a fold is to the models that it tests, and the next fold to them; the others teach."""


def assign_folds(
    manifest: pd.DataFrame, strategy: SplitStrategy, folds: int, seed: int
) -> pd.DataFrame:
    """Divide the videos into folds of whole groups, of about the same size.

    Args:
        manifest: ``video_id``, ``creator_id`` and ``duplicate_group``; a video whose creator is
            unknown is on its own.
        strategy: What is kept together: ``group`` or ``random``.
        folds: How many, at most; fewer where there are fewer groups.
        seed: Decides which groups go together.

    Returns:
        ``video_id``, ``split`` (of the models that are served: ``train`` or ``validation``),
        ``strategy`` and ``fold``, one row per video in the order of the manifest.

    Raises:
        DataError: There are fewer groups than `FEWEST_FOLDS`.
    """
    rows = manifest.sort_values("video_id", ignore_index=True)
    groups = group_together(rows, KEPT_TOGETHER[strategy])
    count = min(folds, len(groups))
    if count < FEWEST_FOLDS:
        raise DataError(
            f"The {len(rows)} usable videos form {len(groups)} independent groups (videos of one "
            f"creator, or with the same content, stay together), and cross-fitting needs at least "
            f"{FEWEST_FOLDS}. Add videos of at least {FEWEST_FOLDS - len(groups)} more creators."
        )
    fold_of = divide_at_random(groups, dict.fromkeys(range(count), 1 / count), seed)
    fold = manifest["video_id"].map(fold_of).astype("int64")
    return pd.DataFrame(
        {
            "video_id": manifest["video_id"].to_numpy(),
            "split": fold.eq(MAIN_VALIDATION).map({True: "validation", False: "train"}).to_numpy(),
            "strategy": strategy,
            FOLD: fold.to_numpy(),
        }
    )


def is_cross_fitted(splits: pd.DataFrame) -> bool:
    """Return whether a table of splits tests every clip."""
    return FOLD in splits


def divisions_of(splits: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the splits of each fold; the table itself where one split is held out.

    Each clip is tested in one of them and validates in one, so that each division has all three.
    """
    if not is_cross_fitted(splits):
        return [splits]
    count = int(splits[FOLD].max()) + 1
    plain = splits.drop(columns=FOLD)
    return [plain.assign(split=_roles((splits[FOLD] - tested) % count)) for tested in range(count)]


def fold_name(number: int) -> str:
    """Return what trainings and tables call a fold, counted from 1."""
    return f"fold_{number}"


def held_out_ids(splits: pd.DataFrame) -> list[str]:
    """Return the clips that results speak of: the test split, or all that are cross-fitted."""
    if is_cross_fitted(splits):
        return list(splits["video_id"])
    return list(splits.loc[splits["split"] == "test", "video_id"])


def _roles(after: pd.Series) -> pd.Series:
    """Return the split of clips whose fold comes so many after the tested one."""
    return after.map(dict(enumerate(ROLES))).fillna("train")
