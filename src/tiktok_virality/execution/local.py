"""The local engine: worker processes on this machine, or the driver itself for a big model."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from typing import Protocol

from tiktok_virality.execution.plan import Failed, Resources, StageItem
from tiktok_virality.execution.work import BatchReport, StageWork
from tiktok_virality.schema import StageError

Batch = Sequence[StageItem]


class Engine(Protocol):
    """Carries batches to workers; knows nothing of what is in them."""

    def run(
        self, batches: Iterable[Batch], work: StageWork, resources: Resources
    ) -> Iterator[BatchReport]:
        """Yield a report as each batch is finished and written."""
        ...


@dataclass(frozen=True, kw_only=True)
class LocalEngine:
    """Runs a stage on this machine.

    Attributes:
        workers: Processes to use where the stage allows; ``None`` takes one per core.
    """

    workers: int | None = None

    def run(
        self, batches: Iterable[Batch], work: StageWork, resources: Resources
    ) -> Iterator[BatchReport]:
        """Yield a report as each batch is finished and written, in any order.

        A worker that dies (a decoder may crash on a hostile file) costs only the item that killed
        it: the batches under way are taken again one item at a time, and the culprit is recorded
        as failed.

        Raises:
            StageError: No worker process can start.
        """
        if resources.in_process:
            yield from map(work, batches)
            return
        workers = min(self.workers or cores(), resources.max_workers or cores())
        waiting = iter(batches)
        suspects: list[Batch] = []
        while (first := next(waiting, None)) is not None:
            _check_workers_start(work)
            yield from _run_pool(first, waiting, work, workers, suspects)
            yield from _run_suspects(suspects, work)
            suspects.clear()


def _run_pool(
    first: Batch, waiting: Iterator[Batch], work: StageWork, workers: int, suspects: list[Batch]
) -> Iterator[BatchReport]:
    """Feed one pool until the batches end or a worker dies; what was under way becomes suspect."""
    running: dict[Future[BatchReport], Batch] = {}
    with _pool(work, workers) as pool:
        try:
            for batch in (first, *islice(waiting, 2 * workers - 1)):
                _submit(pool, batch, running, suspects)
            while running:
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    report = future.result()
                    del running[future]
                    yield report
                    for batch in islice(waiting, 1):
                        _submit(pool, batch, running, suspects)
        except BrokenProcessPool:
            suspects.extend(running.values())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _check_workers_start(work: StageWork) -> None:
    """Start one worker and let it say that it is there; a clip is not to blame if it cannot.

    Raises:
        StageError: It ended before it had anything to do.
    """
    with _pool(work, workers=1) as pool:
        try:
            pool.submit(_is_there).result()
        except BrokenProcessPool as error:
            raise StageError(
                "Worker processes end as soon as they are started, so nothing was done and nothing "
                "is kept. If you run a script of your own, put what it does under `if __name__ == "
                '"__main__":` (each worker imports the script, and must not run it again). '
                "Otherwise there may be too little memory: the lines above say more."
            ) from error


def _is_there() -> None:
    """Answer."""


def _submit(
    pool: ProcessPoolExecutor,
    batch: Batch,
    running: dict[Future[BatchReport], Batch],
    suspects: list[Batch],
) -> None:
    """Hand over a batch; one that a dying pool does not take stays among the suspects."""
    suspects.append(batch)
    running[pool.submit(_run_batch, batch)] = batch
    suspects.pop()


def _run_suspects(suspects: Sequence[Batch], work: StageWork) -> Iterator[BatchReport]:
    """Run items alone, each pool ending with the item that kills it."""
    waiting = iter([item for batch in suspects for item in batch])
    for first in waiting:
        item = first
        with _pool(work, workers=1) as pool:
            try:
                yield pool.submit(_run_batch, [item]).result()
                for item in waiting:
                    yield pool.submit(_run_batch, [item]).result()
            except BrokenProcessPool:
                yield work.record([item], [killer(item)])


def killer(item: StageItem) -> Failed:
    """Return what is recorded of an item whose worker died with it."""
    return Failed(
        video_id=item.video_id,
        reason="worker died",
        detail="the worker process ended without an error message (a crash, or out of memory)",
        is_verdict=False,
    )


def _pool(work: StageWork, workers: int) -> ProcessPoolExecutor:
    """Start spawned processes: forking after torch or CUDA has started is unsafe."""
    return ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(work,)
    )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_worker_state: dict[str, StageWork] = {}


def _start_worker(work: StageWork) -> None:
    """Keep the work for the life of the process; an interrupt is the driver's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker_state["work"] = work


def _run_batch(batch: Batch) -> BatchReport:
    return _worker_state["work"](batch)
