"""Folds within the training split, made of whole creators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiktok_virality.evaluation.splits import repeated_group_folds
from tiktok_virality.schema import DataError, digest
from tiktok_virality.training.corpus import LabelledClips


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One division of the training split.

    Attributes:
        train: What a model learns from.
        stopping: Tells a model that trains by epochs when it was at its best.
        held_out: What it is measured on.
    """

    train: LabelledClips
    stopping: LabelledClips
    held_out: LabelledClips


def creator_folds(
    clips: LabelledClips, *, count: int, stopping_share: float, seed: int
) -> list[Fold]:
    """Divide clips into folds; every clip is held out once, and no creator is ever divided.

    Args:
        clips: The training split.
        count: Number of folds.
        stopping_share: Share of the creators that are not held out which tells when to stop.
        seed: Decides which creators go together.

    Raises:
        DataError: There are too few creators.
    """
    creators = len(np.unique(clips.groups.astype(str)))
    if creators < count + 1:
        raise DataError(
            f"The training split holds {creators} creators, and {count} folds of whole creators "
            f"need at least {count + 1}. Lower tuning.folds, or add videos of more creators."
        )
    manifest = pd.DataFrame(
        {"video_id": clips.ids, "creator_id": clips.groups.astype(str), "duplicate_group": None}
    )
    divided = repeated_group_folds(manifest, manifest.assign(split="train"), count, 1, seed)
    folds = []
    for _, held_out_ids in divided:
        is_held_out = manifest["video_id"].isin(held_out_ids).to_numpy()
        others, held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
        learning, stopping = set_aside(clips.groups[others], share=stopping_share, seed=seed)
        folds.append(
            Fold(
                train=choose(clips, others[learning]),
                stopping=choose(clips, others[stopping]),
                held_out=choose(clips, held_out),
            )
        )
    return folds


def set_aside(
    groups: NDArray[Any], *, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions of the clips of most creators, and of a share of them, at least one.

    Args:
        groups: Creator of each clip, [N]; at least two.
        share: Of the creators.
        seed: Decides which.
    """
    from sklearn.model_selection import GroupShuffleSplit

    names = groups.astype(str)
    creators = len(np.unique(names))
    count = min(creators - 1, max(1, round(share * creators)))
    splitter = GroupShuffleSplit(1, test_size=count, random_state=seed)
    most, few = next(splitter.split(names, groups=names))
    return most, few


def choose(clips: LabelledClips, positions: NDArray[np.int64]) -> LabelledClips:
    """Return some of the clips, in the order of their positions."""
    chosen = {each.name: _pick(getattr(clips, each.name), positions) for each in fields(clips)}
    return replace(clips, **chosen)


def _pick(values: Any, positions: NDArray[np.int64]) -> Any:
    if isinstance(values, np.ndarray):
        return values[positions]
    return [values[position] for position in positions] if isinstance(values, Sequence) else values


def content_digest(clips: LabelledClips) -> str:
    """Return a digest of ids, creators, truth and tokens: all that training sees of clips."""
    tokens = sha256()
    for clip in clips.tokens:
        tokens.update(clip.words.encode())
        for name, values in sorted(clip.tokens.items()):
            tokens.update(f"{name}{values.shape}".encode() + values.tobytes())
        tokens.update(b"-")
    labels = [list(clips.ids), clips.groups.astype(str).tolist(), clips.log_views.tolist()]
    return digest([labels, tokens.hexdigest()])
