"""Trains the ConvLSTM autoencoder on the frames of the training split alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.convlstm import ConvLSTMAutoencoder
from tiktok_virality.models.trained import ModelSpec, TrainedModel
from tiktok_virality.training.corpus import Rows
from tiktok_virality.training.data import frame_batches, stack_frames
from tiktok_virality.training.launcher import TrainingRun, fit
from tiktok_virality.training.module import AutoencoderTrainee
from tiktok_virality.training.parameters import AutoencoderTraining

NAME = "autoencoder"


def train_autoencoder(
    frames: Rows,
    train_ids: Sequence[str],
    validation_ids: Sequence[str],
    config: ConvLSTMConfig,
    parameters: AutoencoderTraining,
    run: TrainingRun,
) -> TrainedModel:
    """Train the autoencoder; the validation split only tells when it was at its best."""
    spec = ModelSpec(kind=NAME, convlstm=config)
    train = frame_batches(
        frames,
        train_ids,
        batch_size=parameters.batch_size,
        seed=run.seed,
        drawn=parameters.clips_per_epoch(len(train_ids)),
    )
    told = _some(validation_ids, parameters.max_validation_clips, run.seed)
    validation = frame_batches(frames, told, batch_size=parameters.batch_size, seed=None)
    steps = math.ceil(len(train) / parameters.accumulation) * parameters.epochs

    def begin() -> AutoencoderTrainee:
        torch.manual_seed(run.seed)
        module = spec.build()
        assert isinstance(module, ConvLSTMAutoencoder)
        module.checkpointing = parameters.checkpointing
        return AutoencoderTrainee(module, parameters, steps)

    state, history = fit(
        begin, train, validation, parameters, run, accumulation=parameters.accumulation
    )
    return TrainedModel(spec=spec, state=state, history=history)


def _some(ids: Sequence[str], most: int | None, seed: int) -> Sequence[str]:
    """Return all ids, or so many that are drawn by the seed, in their order."""
    if most is None or len(ids) <= most:
        return ids
    chosen = np.random.default_rng(seed).choice(len(ids), most, replace=False)
    return [ids[index] for index in sorted(chosen)]


def reconstruct(model: TrainedModel, frames: Rows, ids: Sequence[str]) -> dict[str, Any]:
    """Draw clips again.

    Returns:
        ``video_id`` [N]; ``original`` and ``reconstruction``, uint8 [N, T, 3, H, W], padded with
        black frames; ``length`` [N].
    """
    pixels, lengths = stack_frames([frames.row(i, ["pixels"])["pixels"] for i in ids])
    with torch.inference_mode():
        drawn = model.build()(pixels.float() / 255, lengths)  # [N, T, 3, H, W]
    return {
        "video_id": np.asarray(ids, dtype=np.str_),
        "original": pixels.numpy(),
        "reconstruction": (drawn * 255).round().to(torch.uint8).numpy(),
        "length": lengths.numpy(),
    }
