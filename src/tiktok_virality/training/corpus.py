"""What the models are trained and tested on: every clip's tokens, its creator and its views.

Loads no torch: the nodes name these types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd

from tiktok_virality.evaluation.leakage import check_features, check_no_leak
from tiktok_virality.models.baselines import PooledClips, pool_tokens
from tiktok_virality.models.configs import MODALITIES
from tiktok_virality.schema import SPLITS, DataError, Split, digest

METADATA_FEATURES: Final = ("duration_seconds",)
"""Columns of the manifest that models may read; the leak check looks at them."""


class Rows(Protocol):
    """What training reads of a stage table."""

    def row(self, video_id: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """Read one row."""
        ...

    def __contains__(self, video_id: object) -> bool: ...


class StoredTokens(Rows, Protocol):
    """A stage table of tokens, which says what decided them."""

    @property
    def fingerprint(self) -> str:
        """Digest of what decided the rows."""
        ...

    @property
    def digests(self) -> Mapping[str, str]:
        """Digest of the content behind each row, by id."""
        ...


@dataclass(frozen=True, kw_only=True)
class ClipTokens:
    """What the models know of a clip: its tokens by modality, [T, D] float32, or ``None``."""

    visual: np.ndarray | None
    audio: np.ndarray | None


def read_tokens(ids: Sequence[str], visual: Rows, audio: Rows) -> list[ClipTokens]:
    """Read the tokens of clips into memory; a clip without a row lacks the modality."""
    return [ClipTokens(visual=_tokens(visual, i), audio=_tokens(audio, i)) for i in ids]


def _tokens(rows: Rows, video_id: str) -> np.ndarray | None:
    if video_id not in rows:
        return None
    return np.asarray(rows.row(video_id, ["tokens"])["tokens"], dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class LabelledClips:
    """Clips of one split, in one order.

    Attributes:
        ids: Video ids.
        groups: Creators; a clip whose creator is unknown is a group of its own.
        log_duration: Logarithm of the seconds, [N].
        tokens: What the models know of each.
        log_views: log1p(views), [N].
    """

    ids: Sequence[str]
    groups: np.ndarray
    log_duration: np.ndarray
    tokens: Sequence[ClipTokens]
    log_views: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, kw_only=True)
class ModelInput:
    """The whole corpus by split.

    Attributes:
        splits: Clips by split.
        token_sizes: Size of a token by modality; 1 for a modality that no clip has.
        fingerprint: Digest of the clips, their splits, their views and their embeddings.
    """

    splits: Mapping[Split, LabelledClips]
    token_sizes: dict[str, int]
    fingerprint: str

    def __repr__(self) -> str:
        counts = ", ".join(f"{split} {len(clips)}" for split, clips in self.splits.items())
        return f"ModelInput({counts}; tokens {self.token_sizes})"


def assemble(
    manifest: pd.DataFrame, splits: pd.DataFrame, visual: StoredTokens, audio: StoredTokens
) -> ModelInput:
    """Read every clip's tokens, by split.

    Raises:
        DataError: A split is empty, or shares a creator or a duplicate with another.
    """
    check_features(METADATA_FEATURES)
    check_no_leak(manifest, splits)
    rows = manifest.merge(splits, on="video_id", validate="one_to_one").sort_values("video_id")
    by_split: dict[Split, LabelledClips] = {}
    for split in SPLITS:
        part = rows[rows["split"] == split]
        if part.empty:
            raise DataError(f"The {split} split is empty; see ingestion.splits.")
        by_split[split] = _labelled(part, visual, audio)
    every_clip = [clip for clips in by_split.values() for clip in clips.tokens]
    labels = rows[["video_id", "split", "views"]].astype("str").to_numpy().tolist()
    return ModelInput(
        splits=by_split,
        token_sizes=_token_sizes(every_clip),
        fingerprint=digest([labels, [[t.fingerprint, dict(t.digests)] for t in (visual, audio)]]),
    )


def pooled(clips: LabelledClips, token_sizes: Mapping[str, int]) -> PooledClips:
    """Return what the baselines read of clips."""
    visual, audio = (
        pool_tokens([getattr(clip, name) for clip in clips.tokens], token_sizes[name])
        for name in MODALITIES
    )
    return PooledClips(duration=clips.log_duration[:, None], visual=visual, audio=audio)


def _labelled(rows: pd.DataFrame, visual: StoredTokens, audio: StoredTokens) -> LabelledClips:
    ids = rows["video_id"].tolist()
    return LabelledClips(
        ids=ids,
        groups=rows["creator_id"].fillna(rows["video_id"]).to_numpy(dtype=object),
        log_duration=np.log(rows[METADATA_FEATURES[0]].to_numpy(dtype=np.float64)),
        tokens=read_tokens(ids, visual, audio),
        log_views=np.log1p(rows["views"].to_numpy(dtype=np.float64)),
    )


def _token_sizes(clips: Sequence[ClipTokens]) -> dict[str, int]:
    return {
        name: next((t.shape[1] for c in clips if (t := getattr(c, name)) is not None), 1)
        for name in MODALITIES
    }
