"""A clip's tokens as one row of numbers: what they are on average, how they vary, how they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from tiktok_virality.schema import DataError

POOLS: Final = ("mean", "deviation", "course", "change", "opening")
"""What `pool` says of every number of a token, in this order."""

OPENING_SHARE: Final = 8
"""The opening is one in so many tokens, and at least one: the first second of most clips."""


def pool(tokens: np.ndarray) -> np.ndarray:
    """Pool the tokens of a clip over time.

    Args:
        tokens: [T, D], at least one, in the order of time.

    Returns:
        float32 [len(POOLS) * D]: the mean; the standard deviation; the covariance with standardised
        time, which is the deviation times the correlation with time; the mean absolute difference
        between neighbours; and the mean of the opening less that of all. All but the mean are zero
        for a single token.
    """
    tokens = np.asarray(tokens, dtype=np.float32)
    count, size = tokens.shape
    mean = tokens.mean(axis=0)
    pooled = np.zeros((len(POOLS), size), np.float32)
    pooled[0] = mean
    if count > 1:
        apart = tokens - mean
        time = np.arange(count, dtype=np.float32)
        pooled[1] = tokens.std(axis=0)
        pooled[2] = ((time - time.mean()) / time.std()) @ apart / count
        pooled[3] = np.abs(np.diff(tokens, axis=0)).mean(axis=0)
        pooled[4] = apart[: max(1, count // OPENING_SHARE)].mean(axis=0)
    return pooled.ravel()


def stack_pooled(pooled: Sequence[np.ndarray | None], token_size: int) -> np.ndarray:
    """Return the pooled tokens of clips as rows, float32 [N, len(POOLS) * D]; NaN for none.

    Raises:
        DataError: Tokens have another size.
    """
    width = len(POOLS) * token_size
    other = next((len(row) for row in pooled if row is not None and len(row) != width), None)
    if other is not None:
        raise DataError(
            f"Some clips have tokens of {other // len(POOLS)} numbers, and others of {token_size}: "
            "they were made by different versions or settings. Run the pipelines of all modalities "
            "again, `kedro run --pipeline modalities`, in the same environment."
        )
    nothing = np.full(width, np.nan, np.float32)
    rows = [nothing if row is None else row for row in pooled]
    return np.asarray(rows, dtype=np.float32).reshape(len(pooled), width)
