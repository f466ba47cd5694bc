"""The autoencoder that learns from frames, and one embedding per frame."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.cross_fitting import is_cross_fitted
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.schema import DataError, Split
from tiktok_virality.storage import Place
from tiktok_virality.training.parameters import AutoencoderTraining, EmbeddingParameters


def train_autoencoder(
    frames: StageTable,
    splits: pd.DataFrame,
    autoencoder: ConvLSTMConfig,
    training: AutoencoderTraining,
    seed: int,
    device: str,
    checkpoints: Place,
) -> TrainedModel:
    """Train the autoencoder on the training split; the validation split tells when it was best.

    Raises:
        DataError: No clip of one of these splits has frames.
    """
    from tiktok_virality.training import autoencoder as trainer
    from tiktok_virality.training.launcher import TrainingRun

    train, validation = (_ids_with_frames(frames, splits, name) for name in ("train", "validation"))
    run = TrainingRun.of(
        "autoencoder",
        [
            frames.fingerprint_of(["pixels"]),
            *([frames.digests[i] for i in ids] for ids in (train, validation)),
            autoencoder.model_dump(mode="json"),
            training.model_dump(mode="json"),
        ],
        checkpoints=checkpoints,
        seed=seed,
        device=device,
    )
    return trainer.train_autoencoder(frames, train, validation, autoencoder, training, run)


def reconstruct_held_out(
    autoencoder: TrainedModel,
    frames: StageTable,
    splits: pd.DataFrame,
    reconstructions: int,
    seed: int,
) -> dict[str, Any]:
    """Draw a random few clips again that did not train it, to set them beside the originals.

    They are of the test split, or of the validation split where every clip is tested.
    """
    from tiktok_virality.training.autoencoder import reconstruct

    held_out = _ids_with_frames(frames, splits, "validation" if is_cross_fitted(splits) else "test")
    count = min(reconstructions, len(held_out))
    chosen = np.random.default_rng(seed).choice(len(held_out), count, replace=False)
    return reconstruct(autoencoder, frames, [held_out[index] for index in sorted(chosen)])


def embed_clips(
    frames: StageTable, autoencoder: TrainedModel, embedding: EmbeddingParameters, device: str
) -> StagePlan:
    """Plan the embedding of every clip that has frames."""
    from tiktok_virality.stages.embedding import ClipEmbedder

    return StagePlan(
        items=frames.items(["pixels", "timestamps_seconds"]),
        transform=ClipEmbedder(autoencoder, (embedding.grid_height, embedding.grid_width), device),
        absent=frames.missing("frames"),
        batch_size=embedding.batch_size,
        resources=Resources(in_process=True),
    )


def _ids_with_frames(frames: StageTable, splits: pd.DataFrame, split: Split) -> list[str]:
    ids = [i for i in splits.loc[splits["split"] == split, "video_id"] if i in frames]
    if not ids:
        raise DataError(
            f"No clip of the {split} split has frames. Look at the failures of the stage `frames` "
            "in the log, or add videos."
        )
    return ids
