"""Batches that fit: halved where they do not, said once, and never lost."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
import torch

from tiktok_virality.models.device_memory import FittingBatches


def device_for(most: int):
    """Return what a device with room for so many items computes: it raises as torch does."""

    def squares(batch: Sequence[int]) -> list[int]:
        if len(batch) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [item**2 for item in batch]

    return squares


@pytest.mark.parametrize(("size", "most"), [(8, 8), (8, 3), (None, 4), (None, 1), (3, 2)])
def test_every_item_is_computed_once_and_in_order(size, most):
    found = FittingBatches("squares", size).map(device_for(most), range(11))
    assert [value for part in found for value in part] == [item**2 for item in range(11)]


def test_what_did_not_fit_is_said_once_and_not_tried_again(caplog):
    batches = FittingBatches("squares", 8)
    tried: list[int] = []

    def compute(batch: Sequence[int]) -> list[int]:
        tried.append(len(batch))
        return device_for(5)(batch)

    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            list(batches.map(compute, range(10)))
    assert tried == [8, 4, 4, 2, 4, 4, 2]
    (said,) = [record.message for record in caplog.records]
    assert said.startswith("squares: 8 at a time do not fit")
    assert "it is 4" in said


def test_an_item_that_does_not_fit_alone_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        list(FittingBatches("squares", 4).map(device_for(0), range(4)))


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def broken(batch: Sequence[int]) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        list(FittingBatches("squares", 4).map(broken, range(4)))
