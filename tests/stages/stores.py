"""Stage stores that start no worker, which would take longer than a few clips do."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tiktok_virality.datasets import StageStore
from tiktok_virality.execution import BatchReport, Resources, StageItem, StageWork


class InProcess:
    """An engine that runs a stage here, after it has travelled as to a worker."""

    def run(
        self, batches: Iterable[list[StageItem]], work: StageWork, resources: Resources
    ) -> Iterator[BatchReport]:
        if not resources.in_process:
            work, batches = pickle.loads(pickle.dumps((work, list(batches))))
        return map(work, batches)


def without_workers(store: StageStore) -> StageStore:
    """Let a store run its plans in this process."""
    store._engine = InProcess()
    return store


def stage_store(folder: Path, **settings: Any) -> StageStore:
    """Return a store whose plans run in this process."""
    return without_workers(StageStore(filepath=str(folder), **settings))
