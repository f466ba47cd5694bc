"""Dividing the corpus so that nothing that belongs together is both learned from and tested on."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiktok_virality.media.limits import SplitParameters, SplitStrategy
from tiktok_virality.schema import SPLITS, DataError, Split

GROUPING_COLUMNS: Final = ("creator_id", "duplicate_group")
"""Videos that share a value of any of these never come apart in a ``group`` split."""

KEPT_TOGETHER: Final[Mapping[SplitStrategy, tuple[str, ...]]] = {
    "group": GROUPING_COLUMNS,
    "group_chronological": GROUPING_COLUMNS,
    "chronological": ("duplicate_group",),
    "random": ("duplicate_group",),
}
"""What each strategy never divides. Copies of a video stay together in all of them."""

LARGE_SHARE_OF_SPLIT: Final = 0.25
"""A group larger than this share of the smallest split is placed before the others."""

BOUNDARIES_TRIED: Final = 64
"""Moments that a group_chronological split considers as the beginning of the test period."""

Part = TypeVar("Part", bound=Hashable)


def assign_splits(manifest: pd.DataFrame, parameters: SplitParameters, seed: int) -> pd.DataFrame:
    """Divide the videos as the strategy says, near the wanted shares.

    The result depends on the videos, the parameters and the seed, and not on the order of rows.

    - ``group``: whole creators and whole duplicate groups, drawn at random.
    - ``random``: whole duplicate groups, drawn at random; a creator is on both sides. It shows how
      much knowing the creators flatters a result, and is no way to measure one.
    - ``chronological``: train was posted before validation, validation before calibration,
      calibration before test. A duplicate group belongs where its first video does; copies of it
      posted in a later period are left out.
    - ``group_chronological``: whole creators and duplicate groups, and test was posted after all
      the rest. One moment divides past from future; each group is of the past (and then of train,
      validation or calibration, drawn at random) or of the future, and its videos on the other
      side are left out. Of the moments tried, the one that leaves out least is taken.

    Args:
        manifest: ``video_id``, ``creator_id`` and ``duplicate_group``; a video whose creator is
            unknown is on its own. The chronological strategies read ``posted_at``.
        parameters: The strategy and the wanted shares.
        seed: Decides which groups go where. A chronological split leaves it nothing to decide.

    Returns:
        ``video_id``, ``split`` and ``strategy``, one row per video in the order of the manifest,
        less those that are left out; no split is empty.

    Raises:
        DataError: There are fewer independent groups than splits, or a chronological strategy
            lacks moments of posting.
    """
    rows = manifest.sort_values("video_id", ignore_index=True)
    groups = group_together(rows, KEPT_TOGETHER[parameters.strategy])
    _check_enough(groups, rows, parameters.strategy)
    if parameters.strategy == "chronological":
        split_of = _by_period(_posted_at(rows), groups, parameters.shares)
    elif parameters.strategy == "group_chronological":
        split_of = _past_and_future(_posted_at(rows), groups, parameters.shares, seed)
    else:
        split_of = divide_at_random(groups, parameters.shares, seed)
    kept = manifest["video_id"][manifest["video_id"].isin(list(split_of))]
    return pd.DataFrame(
        {
            "video_id": kept.to_numpy(),
            "split": kept.map(split_of).to_numpy(),
            "strategy": parameters.strategy,
        }
    )


def group_together(
    manifest: pd.DataFrame, columns: Sequence[str] = GROUPING_COLUMNS
) -> list[list[str]]:
    """Return the connected components of videos that share a value of any of the columns.

    Each component is sorted, and so are the components.
    """
    leader: dict[str, str] = {video_id: video_id for video_id in manifest["video_id"]}

    def find(video_id: str) -> str:
        while leader[video_id] != video_id:
            leader[video_id] = leader[leader[video_id]]
            video_id = leader[video_id]
        return video_id

    for column in columns:
        known = manifest.dropna(subset=[column])
        for _, ids in known.groupby(column)["video_id"]:
            first = find(ids.iloc[0])
            for video_id in ids:
                leader[find(video_id)] = first
    components: dict[str, list[str]] = {}
    for video_id in sorted(leader):
        components.setdefault(find(video_id), []).append(video_id)
    return sorted(components.values())


def repeated_group_folds(
    manifest: pd.DataFrame, splits: pd.DataFrame, folds: int, repeats: int, seed: int
) -> Iterator[tuple[list[str], list[str]]]:
    """Divide everything but the test split into folds of whole groups, again and again.

    For choosing hyper-parameters, and for seeing how much a score owes to the draw. The test split
    stays locked: none of its videos is in any fold.

    Args:
        manifest: ``video_id``, ``creator_id`` and ``duplicate_group``.
        splits: ``video_id`` and ``split``.
        folds: How many, at least 2; each is held out once in every repeat.
        repeats: How often to divide anew.
        seed: Of the first repeat; the next takes the next.

    Yields:
        Ids to train on and ids to validate on, each sorted: ``folds * repeats`` pairs.

    Raises:
        DataError: There are fewer independent groups than folds.
    """
    from sklearn.model_selection import GroupKFold

    open_ids = splits.loc[splits["split"] != "test", "video_id"]
    groups = group_together(manifest[manifest["video_id"].isin(open_ids)])
    if len(groups) < folds:
        raise DataError(
            f"{folds} folds need as many independent groups, and the videos outside the test split "
            f"form {len(groups)}. Ask for at most {len(groups)} folds, or add videos of more "
            "creators."
        )
    ids = np.array([video_id for group in groups for video_id in group], dtype=object)
    labels = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    for repeat in range(repeats):
        divided = GroupKFold(folds, shuffle=True, random_state=seed + repeat)
        for train, validation in divided.split(ids, groups=labels):
            yield sorted(ids[train]), sorted(ids[validation])


def _check_enough(
    groups: Sequence[list[str]], manifest: pd.DataFrame, strategy: SplitStrategy
) -> None:
    if len(groups) >= len(SPLITS):
        return
    by_creator = "creator_id" in KEPT_TOGETHER[strategy]
    kinship = "of one creator, or with the same content," if by_creator else "with the same content"
    missing = len(SPLITS) - len(groups)
    raise DataError(
        f"The {len(manifest)} usable videos form {len(groups)} independent groups (videos "
        f"{kinship} stay together), and {', '.join(SPLITS)} need at least one each. Add "
        + (f"videos of at least {missing} more creators." if by_creator else "more videos.")
    )


def _posted_at(manifest: pd.DataFrame) -> Mapping[str, int]:
    """Return when each video was posted, as a number that grows with time.

    Raises:
        DataError: It is not known of some.
    """
    unknown = manifest.loc[manifest["posted_at"].isna(), "video_id"]
    if len(unknown):
        raise DataError(
            f"A chronological split needs to know when each video was posted, and of "
            f"{len(unknown)} of {len(manifest)} videos it is not known, such as "
            f"{unknown.iloc[0]!r}. Give their posts a `posted_at` (an ISO date, or seconds since "
            "1970), remove them, or set ingestion.splits.strategy to group."
        )
    numbers = manifest["posted_at"].astype("int64")
    return dict(zip(manifest["video_id"], numbers, strict=True))


def divide_at_random(
    groups: Sequence[list[str]], shares: Mapping[Part, float], seed: int
) -> dict[str, Part]:
    """Return to which part each video goes: whole groups at random, near the wanted shares.

    Args:
        groups: Videos that stay together; at least as many as there are parts.
        shares: Of the videos, by part.
        seed: Decides which groups go where.
    """
    return _fill(_in_order_of_placing(groups, shares, seed), shares)


def _in_order_of_placing(
    groups: Sequence[list[str]], shares: Mapping[Part, float], seed: int
) -> list[list[str]]:
    """Return the groups shuffled, the large ones first: placed late they would overfill a split."""
    large = LARGE_SHARE_OF_SPLIT * _count(groups) * min(shares.values())
    shuffled = [groups[index] for index in np.random.default_rng(seed).permutation(len(groups))]
    return sorted(shuffled, key=lambda group: -len(group) if len(group) > large else 0)


def _fill(groups: Sequence[list[str]], shares: Mapping[Part, float]) -> dict[str, Part]:
    """Give each group to the part that lacks most; then see that none stays empty."""
    videos = _count(groups)
    placed: dict[Part, list[list[str]]] = {part: [] for part in shares}
    for group in groups:
        lacking = {part: share * videos - _count(placed[part]) for part, share in shares.items()}
        placed[max(placed, key=lambda part: lacking[part])].append(group)
    for part in placed:
        if not placed[part]:
            richest = placed[max(placed, key=lambda other: len(placed[other]))]
            smallest = min(richest, key=len)
            richest.remove(smallest)
            placed[part].append(smallest)
    return {video_id: part for part in placed for group in placed[part] for video_id in group}


def _by_period(
    posted_at: Mapping[str, int], groups: Sequence[list[str]], shares: Mapping[Split, float]
) -> dict[str, Split]:
    """Cut time into periods; a group is of the period of its first video."""
    first = np.array([min(posted_at[video_id] for video_id in group) for group in groups])
    cuts = _cuts(np.repeat(first, [len(group) for group in groups]), shares)

    def period(moment: int) -> Split:
        return SPLITS[int(np.searchsorted(cuts, moment, side="right"))]

    return {
        video_id: period(begins)
        for group, begins in zip(groups, first, strict=True)
        for video_id in group
        if period(posted_at[video_id]) == period(begins)
    }


def _cuts(moments: NDArray[np.int64], shares: Mapping[Split, float]) -> list[int]:
    """Return when the second, third, ... period begins; each holds at least one moment.

    Raises:
        DataError: There are fewer different moments than splits.
    """
    different, counts = np.unique(moments, return_counts=True)
    if len(different) < len(SPLITS):
        raise DataError(
            f"The videos were posted at {len(different)} different moments, and a chronological "
            f"split into {', '.join(SPLITS)} needs at least {len(SPLITS)}. Give each post its own "
            "`posted_at`, or set ingestion.splits.strategy to group."
        )
    before = np.concatenate([[0], counts.cumsum()])  # videos before each moment, [M + 1]
    wanted = np.cumsum([shares[split] for split in SPLITS[:-1]]) * len(moments)
    cuts: list[int] = []
    for place, count in enumerate(wanted, start=1):
        nearest = int(np.abs(before - count).argmin())
        earliest = cuts[-1] + 1 if cuts else 1
        latest = len(different) - (len(SPLITS) - place)
        cuts.append(min(max(nearest, earliest), latest))
    return [int(different[cut]) for cut in cuts]


@dataclass(frozen=True, kw_only=True)
class _Boundary:
    """A moment, and the groups whose later videos are tested on."""

    begins: int
    tested: frozenset[int]
    kept: int


def _past_and_future(
    posted_at: Mapping[str, int],
    groups: Sequence[list[str]],
    shares: Mapping[Split, float],
    seed: int,
) -> dict[str, Split]:
    """Test on the later videos of some groups, and learn from the earlier videos of the others."""
    boundary = _best_boundary(posted_at, groups, shares["test"], seed)
    past: list[list[str]] = []
    future: list[list[str]] = []
    for number, group in enumerate(groups):
        later = number in boundary.tested
        side = [i for i in group if (posted_at[i] >= boundary.begins) == later]
        if side:
            (future if later else past).append(side)
    rest = {split: share / (1 - shares["test"]) for split, share in shares.items()}
    del rest["test"]
    tested: dict[str, Split] = {video_id: "test" for group in future for video_id in group}
    return divide_at_random(past, rest, seed) | tested


def _best_boundary(
    posted_at: Mapping[str, int], groups: Sequence[list[str]], share: float, seed: int
) -> _Boundary:
    """Return the boundary that leaves out least; of equally good ones, the latest.

    Raises:
        DataError: None leaves enough groups on both sides.
    """
    moments = np.unique(list(posted_at.values()))
    places = np.linspace(1, len(moments) - 1, BOUNDARIES_TRIED).round().astype(int)
    chance = np.random.default_rng(seed).random(len(groups))
    found = [
        boundary
        for place in np.unique(places)[: len(moments) - 1]
        if (boundary := _boundary_at(int(moments[place]), posted_at, groups, share, chance))
    ]
    if not found:
        raise DataError(
            "No moment divides the videos so that test creators post after it and at least "
            f"{len(SPLITS) - 1} others before it. Add videos of more creators, or set "
            "ingestion.splits.strategy to group."
        )
    return max(found, key=lambda boundary: (boundary.kept, boundary.begins))


def _boundary_at(
    begins: int,
    posted_at: Mapping[str, int],
    groups: Sequence[list[str]],
    share: float,
    chance: NDArray[np.float64],
) -> _Boundary | None:
    """Fill the test split after a moment, beginning with the groups that lose least by it.

    Those are the groups that have most of their videos there; chance orders equals.
    """
    after = np.array([sum(posted_at[i] >= begins for i in group) for group in groups])  # [G]
    before = np.array([len(group) for group in groups]) - after
    order = np.lexsort((chance, before / (before + after)))
    tested = after[order].cumsum()
    learned = before.sum() - before[order].cumsum()
    last = int(np.abs(tested - share * (tested + learned)).argmin())
    if np.count_nonzero(before[order[last + 1 :]]) < len(SPLITS) - 1 or not tested[last]:
        return None
    return _Boundary(
        begins=begins,
        tested=frozenset(order[: last + 1].tolist()),
        kept=int(tested[last] + learned[last]),
    )


def _count(groups: Iterable[list[str]]) -> int:
    return sum(len(group) for group in groups)
