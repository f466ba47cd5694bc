"""What moves a prediction: the same clip asked about again, with a part of it taken away.

Occlusion (Zeiler and Fergus, 2014, "Visualizing and Understanding Convolutional Networks") on the
tokens: a second is made like the rest of its clip, a modality is taken away as if the clip lacked
it. Written here and not taken from captum: clips have tokens of unequal number, some lack a
modality, and what models read of a clip as a whole must be pooled anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Final

import numpy as np

from tiktok_virality.training.corpus import ClipTokens

if TYPE_CHECKING:
    from tiktok_virality.models.trained import TrainedModel

MOST_MOMENTS: Final = 60
"""Of one clip. Longer ones have longer moments."""

Moment = tuple[float, float]
"""From when to when, in seconds."""


def moments_of(seconds: float) -> list[Moment]:
    """Divide a clip into moments of a second each, or into `MOST_MOMENTS` longer ones.

    Args:
        seconds: How long the clip is.
    """
    count = min(max(1, ceil(round(seconds, 3))), MOST_MOMENTS)
    step = max(1.0, seconds / count)
    return [(place * step, min((place + 1) * step, seconds)) for place in range(count)]


def without_modality(clip: ClipTokens, modality: str) -> ClipTokens:
    """Return the clip as if it lacked a modality."""
    left = {name: tokens for name, tokens in clip.tokens.items() if name != modality}
    return replace(clip, tokens=left)


def without_moments(
    clip: ClipTokens, moments: Sequence[Moment], modalities: Sequence[str] | None = None
) -> ClipTokens:
    """Return the clip with moments like the rest of it.

    Their tokens become the mean of the others of their modality, so that the clip stays as long as
    it is, and every other second where it was; without all moments, every token is the mean of all.
    Modalities without times stay.

    Args:
        clip: With the times of its tokens.
        moments: Tokens that begin in them are taken away.
        modalities: Of which; ``None`` for all.
    """
    names = [name for name in clip.times if modalities is None or name in modalities]
    tokens = {name: _like_the_rest(clip.tokens[name], clip.times[name], moments) for name in names}
    return replace(clip, tokens={**clip.tokens, **tokens})


def effects(
    model: TrainedModel, clip: ClipTokens, altered: Sequence[ClipTokens]
) -> tuple[float, np.ndarray]:
    """Return what a model says of a clip, and how much less it says of altered ones.

    Args:
        model: A predictor.
        clip: As it is.
        altered: With something taken away.

    Returns:
        The prediction, and prediction less what is predicted of each altered clip, [N]: positive
        where what was taken away lifts the answer. On the scale of the target.
    """
    from tiktok_virality.training.predicting import predict_log_views

    said = predict_log_views(model, [clip, *altered])
    return float(said[0]), said[0] - said[1:]


def _like_the_rest(tokens: np.ndarray, times: np.ndarray, moments: Sequence[Moment]) -> np.ndarray:
    inside = np.zeros(len(times), dtype=bool)
    for start, end in moments:
        inside |= (times >= start) & (times < end)
    if not inside.any():
        return tokens
    rest = tokens if inside.all() else tokens[~inside]
    return np.where(inside[:, None], rest.mean(axis=0), tokens)
