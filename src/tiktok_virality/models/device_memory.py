"""Batches that fit into the memory of a device: halved when one does not, and said once."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass
class FittingBatches:
    """Computes items batch by batch, in batches as large as the device has memory for.

    What fits once is taken to fit again: a batch size that was halved stays so.

    Attributes:
        name: Of what is computed, in the log.
        batch_size: Items computed together at most; ``None``: all of them.
    """

    name: str
    batch_size: int | None = None

    def map(
        self, compute: Callable[[Sequence[Item]], Result], items: Sequence[Item]
    ) -> Iterator[Result]:
        """Yield what is computed of each batch, in order.

        Raises:
            torch.OutOfMemoryError: A single item does not fit.
        """
        first = 0
        while first < len(items):
            size = len(items) if self.batch_size is None else self.batch_size
            batch = items[first : first + size]
            try:
                computed = compute(batch)
            except torch.OutOfMemoryError:
                if len(batch) == 1:
                    raise
            else:
                yield computed
                first += len(batch)
                continue
            release()  # once nothing of the failed attempt is held by its traceback
            self.batch_size = -(-len(batch) // 2)
            logger.warning(
                "%s: %d at a time do not fit into the memory of the GPU; from here on it is %d. "
                "A smaller batch size from the start saves the attempt.",
                self.name,
                len(batch),
                self.batch_size,
            )


def release() -> None:
    """Give memory that nothing uses any more back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
