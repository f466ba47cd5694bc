"""Altered clips, embedded as all clips are: is the flag for unlike clips raised?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.cross_fitting import held_out_ids
from tiktok_virality.evaluation.unlike_clips import ALTERATIONS, IDS
from tiktok_virality.execution import Done, StageItem
from tiktok_virality.models.pooling import pool
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.schema import DataError
from tiktok_virality.training.parameters import EmbeddingParameters


def embed_unlike_clips(
    splits: pd.DataFrame,
    frames: StageTable,
    autoencoder: TrainedModel,
    embedding: EmbeddingParameters,
    certainty: CertaintyParameters,
    seed: int,
    device: str,
) -> dict[str, np.ndarray]:
    """Alter the frames of test clips in every way, and embed them as all clips are embedded.

    Returns:
        ``video_id`` [N], and each clip's pooled tokens after each alteration, [N, P].

    Raises:
        DataError: No test clip has frames.
    """
    from tiktok_virality.stages.embedding import ClipEmbedder

    there = [video_id for video_id in sorted(held_out_ids(splits)) if video_id in frames]
    if not there:
        raise DataError("No test clip has frames, so none can be altered; see the log of `frames`.")
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(there), min(certainty.altered_clips, len(there)), replace=False)
    embedder = ClipEmbedder(autoencoder, (embedding.grid_height, embedding.grid_width), device)
    embedder.setup()
    ids = [there[index] for index in sorted(chosen)]
    tokens = [_embed_alterations(embedder, frames, video_id, rng) for video_id in ids]
    return {
        IDS: np.asarray(ids, dtype=np.str_),
        **{name: np.stack([pool(each[name]) for each in tokens]) for name in ALTERATIONS},
    }


@dataclass(frozen=True, kw_only=True)
class _InMemory:
    """Frames that are there already, as a stage item's payload."""

    pixels: np.ndarray
    timestamps_seconds: np.ndarray

    def load(self) -> dict[str, np.ndarray]:
        return {"pixels": self.pixels, "timestamps_seconds": self.timestamps_seconds}


def _embed_alterations(
    embedder: Any, frames: StageTable, video_id: str, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return the tokens of one clip after each alteration, float32 [T, D]."""
    row = frames.row(video_id, ["pixels", "timestamps_seconds"])
    items = [
        StageItem(
            video_id=name,
            digest=name,
            payload=_InMemory(
                pixels=alter(row["pixels"], rng), timestamps_seconds=row["timestamps_seconds"]
            ),
        )
        for name, alter in ALTERATIONS.items()
    ]
    return {
        outcome.video_id: np.asarray(outcome.columns["tokens"], dtype=np.float32)
        for outcome in embedder(items)
        if isinstance(outcome, Done)
    }
