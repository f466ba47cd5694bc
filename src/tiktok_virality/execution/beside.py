"""A process beside the driver, for scoring: it loads libraries while the driver reads settings."""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Sequence
from contextlib import chdir
from functools import partial
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Lock, Thread

from tiktok_virality.execution.local import DEATH, cores
from tiktok_virality.execution.plan import StageItem
from tiktok_virality.execution.work import BatchReport, StageWork
from tiktok_virality.execution.workers import Raised, attempt, end_with_driver, portable


class ProcessBeside:
    """One worker process, started at once; it keeps what stages have loaded, as the driver does.

    It ends with the driver. Threads that ask it wait for each other.

    Args:
        libraries: Modules that it imports before there is work; one that is missing is left to
            whoever needs it.
    """

    def __init__(self, libraries: Sequence[str]) -> None:
        self._libraries = tuple(libraries)
        self._lock = Lock()
        self._start()

    def run(self, batch: Sequence[StageItem], work: StageWork) -> BatchReport:
        """Have a batch processed and written.

        A process that dies (a decoder may crash on a hostile file) costs only the item that killed
        it, as with the local engine.

        Raises:
            Exception: What the work raised.
        """
        with self._lock:
            return self._run(batch, work)

    def _run(self, batch: Sequence[StageItem], work: StageWork) -> BatchReport:
        try:
            self._connection.send((Path.cwd(), batch, work))
            answer: BatchReport | Raised = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join()
            self._start()
            if len(batch) > 1:
                return sum((self._run([item], work) for item in batch), BatchReport())
            return work.record(batch, [DEATH.failure(batch[0].video_id)])
        if isinstance(answer, Raised):
            raise answer.error
        return answer

    def _start(self) -> None:
        """Start it anew: spawned, for forking after torch or CUDA has started is unsafe."""
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(
            target=_serve, args=(theirs, self._libraries), daemon=True
        )
        self._process.start()
        theirs.close()


def _serve(driver: Connection, libraries: Sequence[str]) -> None:
    """Load the libraries, then do what comes until the driver is gone."""
    from tiktok_virality.execution.resident import run_here

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the driver's to handle
    Thread(target=end_with_driver, daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", f"{max(1, cores() // 2)}")  # the driver works, too
    _load(libraries)
    while True:
        try:
            folder, batch, work = driver.recv()
        except EOFError:
            return
        with chdir(folder):
            answer = attempt(partial(run_here, work=work), batch)
        driver.send_bytes(portable(answer))


def _load(libraries: Sequence[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they say of themselves is no matter to who scores
        for name in libraries:
            try:
                import_module(name)
            except ImportError:
                continue
