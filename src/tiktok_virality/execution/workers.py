"""Worker processes: each is given one batch at a time, and ends when its driver does."""

from __future__ import annotations

import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import Final

from tiktok_virality.execution.limits import Usage, computed_by, end_with_children
from tiktok_virality.execution.plan import StageItem
from tiktok_virality.execution.work import BatchReport, StageWork
from tiktok_virality.schema import StageError

Batch = Sequence[StageItem]

READY: Final = "ready"
LAST_WORDS_SECONDS: Final = 10.0
_CONTEXT = get_context("spawn")  # forking after torch or CUDA has started is unsafe


@dataclass(frozen=True)
class Raised:
    """What a batch has raised in a worker."""

    error: BaseException


class Worker:
    """A process that does batches, one after the other, and the driver's end of it.

    Attributes:
        batch: What it is doing; ``None`` while it waits or starts.
        is_ready: Whether it has started.
        is_fresh: Whether it has not finished a batch yet.
        began: When it was given the batch, by the monotonic clock, in seconds.
    """

    def __init__(self, work: StageWork) -> None:
        self.connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, work))
        self._process.start()
        theirs.close()
        self.batch: Batch | None = None
        self.is_ready = False
        self.is_fresh = True
        self.began = 0.0
        self._cpu_before = 0.0

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def is_idle(self) -> bool:
        """Whether it waits for something to do."""
        return self.is_ready and self.batch is None

    def since_given(self, usage: Usage) -> Usage:
        """Return what it has taken since it was given its batch."""
        return replace(usage, cpu_seconds=usage.cpu_seconds - self._cpu_before)

    def give(self, batch: Batch) -> None:
        """Hand over a batch; a worker that has just died is found out by what it answers."""
        self.batch, self.began, self._cpu_before = batch, time.monotonic(), computed_by(self.pid)
        try:
            self.connection.send(batch)
        except BrokenPipeError:
            return

    def answer(self) -> BatchReport | Raised | None:
        """Take what it says: how its batch ended, or ``None``: it is ready for the first.

        Raises:
            EOFError: It has died.
        """
        try:
            said = self.connection.recv()
        except ConnectionResetError as error:
            raise EOFError from error
        if said == READY:
            self.is_ready = True
            return None
        self.batch, self.is_fresh = None, False
        return said

    def dismiss(self) -> None:
        """Let it end; it has nothing to do."""
        self.connection.close()
        self._process.join(LAST_WORDS_SECONDS)
        self.kill()

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        if self._process.is_alive():
            end_with_children(self.pid)
        self._process.join(LAST_WORDS_SECONDS)  # one that waits for a disk may not even die
        self.connection.close()


def _serve(connection: Connection, work: StageWork) -> None:
    """Do batches until there are no more; an interrupt is the driver's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=end_with_driver, daemon=True).start()
    try:
        connection.send(READY)
        while True:
            connection.send_bytes(portable(attempt(work, connection.recv())))
    except (EOFError, OSError):
        return  # the driver wants no more, or is gone


def attempt(work: Callable[[Batch], BatchReport], batch: Batch) -> BatchReport | Raised:
    """Do a batch; what it raises is returned, and says where that was."""
    try:
        return work(batch)
    except BaseException as error:
        error.add_note(traceback.format_exc())
        return Raised(error)


def portable(said: BatchReport | Raised) -> bytes:
    """Pickle an answer; an error that cannot travel goes by its words."""
    try:
        content = pickle.dumps(said)
        pickle.loads(content)
    except Exception:
        assert isinstance(said, Raised)
        words = "".join(traceback.format_exception(said.error))
        return pickle.dumps(Raised(StageError(f"A worker has raised:\n{words}")))
    return content


def end_with_driver() -> None:
    """End as soon as the driver has, in the middle of a batch too: nobody would hear of it."""
    driver = parent_process()
    assert driver is not None
    driver.join()
    os._exit(1)
