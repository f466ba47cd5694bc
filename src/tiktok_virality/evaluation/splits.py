"""Dividing the corpus so that nothing that belongs together is both learned from and tested on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.schema import SPLITS, DataError, Split

GROUPING_COLUMNS: Final = ("creator_id", "duplicate_group")
"""Videos that share a value of any of these never come apart."""

LARGE_SHARE_OF_SPLIT: Final = 0.25
"""A group larger than this share of the smallest split is placed before the others."""


def assign_splits(manifest: pd.DataFrame, parameters: SplitParameters, seed: int) -> pd.DataFrame:
    """Divide the videos by creator and duplicates, near the wanted shares.

    The result depends on the videos, the parameters and the seed, and not on the order of rows.

    Args:
        manifest: ``video_id``, ``creator_id`` and ``duplicate_group``; a video whose creator is
            unknown is on its own.
        parameters: The wanted shares.
        seed: Decides which groups go where.

    Returns:
        ``video_id`` and ``split``, one row per video in the order of the manifest; no split is
        empty.

    Raises:
        DataError: There are fewer independent groups than splits.
    """
    groups = group_together(manifest)
    if len(groups) < len(SPLITS):
        raise DataError(
            f"The {len(manifest)} usable videos form {len(groups)} independent groups (videos of "
            f"one creator, or with the same content, stay together), and {', '.join(SPLITS)} need "
            f"at least one each. Add videos of at least {len(SPLITS) - len(groups)} more creators."
        )
    split_of = _fill(_in_order_of_placing(groups, parameters, seed), parameters)
    return pd.DataFrame(
        {
            "video_id": manifest["video_id"].to_numpy(),
            "split": [split_of[video_id] for video_id in manifest["video_id"]],
        }
    )


def group_together(manifest: pd.DataFrame) -> list[list[str]]:
    """Return the connected components of videos that share a creator or their content.

    Each component is sorted, and so are the components.
    """
    leader: dict[str, str] = {video_id: video_id for video_id in manifest["video_id"]}

    def find(video_id: str) -> str:
        while leader[video_id] != video_id:
            leader[video_id] = leader[leader[video_id]]
            video_id = leader[video_id]
        return video_id

    for column in GROUPING_COLUMNS:
        known = manifest.dropna(subset=[column])
        for _, ids in known.groupby(column)["video_id"]:
            first = find(ids.iloc[0])
            for video_id in ids:
                leader[find(video_id)] = first
    components: dict[str, list[str]] = {}
    for video_id in sorted(leader):
        components.setdefault(find(video_id), []).append(video_id)
    return sorted(components.values())


def _in_order_of_placing(
    groups: Sequence[list[str]], parameters: SplitParameters, seed: int
) -> list[list[str]]:
    """Return the groups shuffled, the large ones first: placed late they would overfill a split."""
    videos = sum(len(group) for group in groups)
    large = LARGE_SHARE_OF_SPLIT * videos * min(parameters.shares.values())
    shuffled = [groups[index] for index in np.random.default_rng(seed).permutation(len(groups))]
    return sorted(shuffled, key=lambda group: -len(group) if len(group) > large else 0)


def _fill(groups: Sequence[list[str]], parameters: SplitParameters) -> Mapping[str, Split]:
    """Give each group to the split that lacks most; then see that none stays empty."""
    videos = sum(len(group) for group in groups)
    placed: dict[Split, list[list[str]]] = {split: [] for split in SPLITS}
    for group in groups:
        lacking = {
            split: share * videos - _count(placed[split])
            for split, share in parameters.shares.items()
        }
        placed[max(SPLITS, key=lambda split: lacking[split])].append(group)
    for split in SPLITS:
        if not placed[split]:
            richest = placed[max(SPLITS, key=lambda other: len(placed[other]))]
            smallest = min(richest, key=len)
            richest.remove(smallest)
            placed[split].append(smallest)
    return {video_id: split for split in SPLITS for group in placed[split] for video_id in group}


def _count(groups: Iterable[list[str]]) -> int:
    return sum(len(group) for group in groups)
