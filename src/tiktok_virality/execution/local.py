"""The local engine: worker processes on this machine, or the driver itself for a big model."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, Final, Protocol

from tiktok_virality.execution.limits import Excess, ItemLimits, excess, usage_of
from tiktok_virality.execution.plan import Resources, StageItem
from tiktok_virality.execution.work import BatchReport, StageWork
from tiktok_virality.execution.workers import Batch, Raised, Worker
from tiktok_virality.schema import StageError

WATCH_EVERY_SECONDS: Final = 0.5
STARTS_TRIED: Final = 3
DEATH: Final = Excess(
    reason="worker died",
    detail="the worker process ended without an error message (a crash, or out of memory)",
    is_verdict=False,
)

logger = logging.getLogger(__name__)


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
        item_seconds: Time that a worker may take for one item; ``None`` is no limit.
        item_gigabytes: Memory that a worker may take, 10^9 bytes; ``None`` is no limit.
    """

    workers: int | None = None
    item_seconds: float | None = None
    item_gigabytes: float | None = None

    def run(
        self, batches: Iterable[Batch], work: StageWork, resources: Resources
    ) -> Iterator[BatchReport]:
        """Yield a report as each batch is finished and written, in any order.

        A worker that dies (a decoder may crash on a hostile file) or passes a limit costs only the
        item that it was busy with: its batch is taken again one item at a time, and the culprit is
        recorded as failed. In the driver itself nothing can be ended, and no limit holds.

        Raises:
            StageError: No worker process can start.
        """
        if resources.in_process:
            yield from map(work, batches)
            return
        workers = min(self.workers or cores(), resources.max_workers or cores())
        limits = ItemLimits(seconds=self.item_seconds, gigabytes=self.item_gigabytes)
        crew = _Crew(work, batches, workers, limits if resources.limited else ItemLimits())
        try:
            yield from crew.reports()
            crew.dismiss()
        finally:
            crew.kill()


class _Crew:
    """Workers and what is left for them to do.

    Args:
        work: What they do.
        batches: What is to be done.
        most: Workers at a time.
        limits: Of one item.
    """

    def __init__(
        self, work: StageWork, batches: Iterable[Batch], most: int, limits: ItemLimits
    ) -> None:
        self._work = work
        self._unread = iter(batches)
        self._next: deque[Batch] = deque()
        self._suspects: deque[StageItem] = deque()
        self._most = most
        self._limits = limits
        self._workers: list[Worker] = []
        self._failed_starts = 0
        self._looked = time.monotonic()

    def reports(self) -> Iterator[BatchReport]:
        """Yield how each batch ended, until all have."""
        patience = None if self._limits == ItemLimits() else WATCH_EVERY_SECONDS
        while self._hand_out():
            by_connection: dict[Any, Worker] = {each.connection: each for each in self._workers}
            for connection in wait(list(by_connection), patience):
                yield from self._hear(by_connection[connection])
            if patience and time.monotonic() - self._looked >= patience:
                yield from self._end_excesses()
                self._looked = time.monotonic()

    def dismiss(self) -> None:
        """Let all of them end in peace."""
        while self._workers:
            self._workers.pop().dismiss()

    def kill(self) -> None:
        """End whoever is left, whatever it is doing."""
        while self._workers:
            self._workers.pop().kill()

    def _hand_out(self) -> bool:
        """Give who waits something to do, and start who is lacking; return whether any is busy.

        A suspect is given to a worker that has done nothing before, so that it is judged alone.
        """
        self._next.extend(islice(self._unread, self._most - len(self._next)))
        for worker in [each for each in self._workers if each.is_idle]:
            if self._suspects and not worker.is_fresh:
                self._workers.remove(worker)
                worker.dismiss()
            elif self._suspects:
                worker.give([self._suspects.popleft()])
            elif self._next:
                worker.give(self._next.popleft())
        starting = sum(not each.is_ready for each in self._workers)
        wanted = min(self._most - len(self._workers), len(self._next) + len(self._suspects))
        for _ in range(wanted - starting):
            self._workers.append(Worker(self._work))
        return any(not each.is_idle for each in self._workers)

    def _hear(self, worker: Worker) -> Iterator[BatchReport]:
        """Take what a worker says.

        Raises:
            StageError: It could not start.
            Exception: What concerns every item, as its batch has found.
        """
        try:
            said = worker.answer()
        except EOFError:
            yield from self._replace(worker, DEATH)
            return
        self._failed_starts = 0
        if isinstance(said, Raised):
            raise said.error
        if said is not None:
            yield said

    def _end_excesses(self) -> Iterator[BatchReport]:
        """End who has passed a limit."""
        usages = usage_of(each.pid for each in self._workers)
        for worker in [each for each in self._workers if each.batch is not None]:
            assert worker.batch is not None
            passed = excess(
                worker.since_given(usages[worker.pid]),
                time.monotonic() - worker.began,
                len(worker.batch),
                self._limits,
            )
            if passed is not None:
                yield from self._replace(worker, passed)

    def _replace(self, worker: Worker, why: Excess) -> Iterator[BatchReport]:
        """End a worker; what it was busy with is taken again alone, or recorded if it was that.

        Raises:
            StageError: It had not even started.
        """
        self._workers.remove(worker)
        worker.kill()
        if not worker.is_ready:
            self._failed_starts += 1
            _check_workers_start(self._failed_starts)
        if worker.batch is None:
            return
        if (report := self._work.recall(worker.batch)) is not None:
            yield report
        elif worker.is_fresh and len(worker.batch) == 1:
            [item] = worker.batch
            logger.warning("%s: %s (%s)", item.video_id, why.reason, why.detail)
            yield self._work.record([item], [why.failure(item.video_id)])
        else:
            self._suspects.extend(worker.batch)


def _check_workers_start(failed: int) -> None:
    """Raise once it is no accident; a clip is not to blame.

    Raises:
        StageError: Several workers, one after the other, ended before they had anything to do.
    """
    if failed >= STARTS_TRIED:
        raise StageError(
            "Worker processes end as soon as they are started, so nothing was done and nothing "
            "is kept. If you run a script of your own, put what it does under `if __name__ == "
            '"__main__":` (each worker imports the script, and must not run it again). '
            "Otherwise there may be too little memory: the lines above say more."
        )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
