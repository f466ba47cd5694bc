"""Lets trained models predict; training them is no matter here, and loads much more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.readout import Blended
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.training.corpus import ClipTokens
from tiktok_virality.training.data import token_batch

PREDICTION_BATCH = 64


def predict_log_views(model: TrainedModel, clips: Sequence[ClipTokens]) -> np.ndarray:
    """Return predicted log1p(views), float64 [N]; the training mean where nothing is known.

    Of validation clips ask `rehearse_log_views`: they have taught the model.
    """
    return _predict(model, clips, model.module)


def rehearse_log_views(model: TrainedModel, clips: Sequence[ClipTokens]) -> np.ndarray:
    """Return the same as the model would without what validation clips have taught it, [N]."""
    module = model.module
    return _predict(model, clips, module.rehearse if isinstance(module, Blended) else module)


def _predict(
    model: TrainedModel, clips: Sequence[ClipTokens], answer: Callable[[TokenBatch], Tensor]
) -> np.ndarray:
    assert model.target is not None
    standardised = decide(answer, clips, model.spec.token_sizes)
    return standardised * model.target.deviation + model.target.mean


def decide(
    answer: Callable[[TokenBatch], Tensor],
    clips: Sequence[ClipTokens],
    token_sizes: Mapping[str, int],
) -> np.ndarray:
    """Return what a network, or a part of it, says of clips: standardised, float64 [N]."""
    batches = [np.empty(0)]
    with torch.inference_mode():
        for first in range(0, len(clips), PREDICTION_BATCH):
            part = clips[first : first + PREDICTION_BATCH]
            batches.append(answer(token_batch(part, token_sizes, pooled=True)).double().numpy())
    return np.concatenate(batches)
