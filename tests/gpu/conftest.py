"""Every test of this folder needs a CUDA device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
GIBIBYTE = 2**30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them where there is no GPU."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            if not torch.cuda.is_available():
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def card_of() -> Iterator[Callable[[float], AbstractContextManager[None]]]:
    """Let the process have so many GiB of the card, and no more, for a while."""

    @contextmanager
    def limited(gibibytes: float) -> Iterator[None]:
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(gibibytes * GIBIBYTE / whole)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
            torch.cuda.empty_cache()

    yield limited
