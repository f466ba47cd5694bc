"""Runs one function in several processes of this machine, which form one group of torch's."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import signal
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import QueueHandler
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch

from tiktok_virality.execution.workers import end_with_driver
from tiktok_virality.schema import ParameterError

PACKAGE = __name__.partition(".")[0]
SETTLING_SECONDS = 1.0
"""How long after a process has failed another is given to turn out to have died before it."""


class ProcessDiedError(Exception):
    """A process ended without saying why: it was killed, or crashed."""


@dataclass(frozen=True)
class Rank:
    """The place of a process in its group.

    Attributes:
        index: From 0; the first one logs and saves.
        count: Processes of the group.
        tell: Sends a value to the driver.
    """

    index: int
    count: int
    tell: Callable[[Any], None]


Work = Callable[[Rank], Any]


@dataclass(frozen=True)
class _Told:
    """A value for the driver."""

    value: Any


@dataclass(frozen=True)
class _Done:
    """What the work of a process gave."""

    result: Any


@dataclass(frozen=True)
class _Failed:
    """Why it gave nothing."""

    error: Exception


@dataclass(frozen=True)
class _Start:
    """All that a process must know, which is little: the work is in a file, written once.

    Attributes:
        work: File of the pickled work.
        meeting: File over which the processes find each other; it is not there yet.
        index: Of the process.
        count: Processes of the group.
        backend: Of torch's group.
        threads: Of each process.
        log_level: From which on the first process's lines reach the driver.
    """

    work: Path
    meeting: Path
    index: int
    count: int
    backend: Literal["nccl", "gloo"]
    threads: int
    log_level: int


def count_processes(wanted: int | Literal["auto"], device: str) -> int:
    """Return in how many processes to train: ``auto`` is one for every GPU, or one.

    Raises:
        ParameterError: There are fewer GPUs than processes.
    """
    gpus = 0 if device == "cpu" else torch.cuda.device_count()
    if wanted == "auto":
        return max(1, gpus)
    if 0 < gpus < wanted:
        raise ParameterError(
            f"processes: {wanted} asks for as many GPUs, and this machine has {gpus}. Say "
            "`processes: auto`, or `device: cpu` to share its processors."
        )
    return wanted


def run_in_processes(work: Work, count: int, device: str, hear: Callable[[Any], None]) -> Any:
    """Do work in several processes at once, and return what it gives in the first.

    The driver does nothing meanwhile but listen: `hear` is called with what the work tells, and
    log lines of the first process are logged here, as if they had been written here. A fault in one
    process ends all of them.

    Args:
        work: Can be pickled; called in every process, in which torch's group has been formed.
        count: Of processes.
        device: ``auto``, ``cpu`` or ``cuda``: a GPU for each, or the processor shared by all.
        hear: Takes what is told.

    Raises:
        ProcessDiedError: One ended without saying why.
        Exception: What the work raised in one of them, with a note that says where.
    """
    with TemporaryDirectory(prefix="processes-") as folder:
        file = Path(folder) / "work.pickle"
        file.write_bytes(pickle.dumps(work))
        members: list[_Member] = []
        try:
            for index in range(count):
                start = _Start(
                    work=file,
                    meeting=Path(folder) / "meeting",
                    index=index,
                    count=count,
                    backend="nccl" if on_gpus(device) else "gloo",
                    threads=max(1, torch.get_num_threads() // count),
                    log_level=logging.getLogger(PACKAGE).getEffectiveLevel(),
                )
                members.append(_Member.started(start))
            return _listen(members, hear)
        finally:
            for member in members:
                member.process.kill()
                member.process.join()
                member.connection.close()


def on_gpus(device: str) -> bool:
    """Return whether ``auto``, ``cpu`` or ``cuda`` means GPUs here."""
    return device != "cpu" and torch.cuda.is_available()


@dataclass(frozen=True)
class _Member:
    """A process of the group, as the driver sees it."""

    index: int
    process: BaseProcess
    connection: Connection

    @classmethod
    def started(cls, start: _Start) -> _Member:
        # Spawned, never forked: forking after torch or CUDA has started is unsafe.
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_main, args=(start, there), daemon=True)
        process.start()
        there.close()  # so that the end of the process is the end of what it sends
        return cls(start.index, process, here)

    def death(self) -> ProcessDiedError:
        self.process.join()
        code = self.process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return ProcessDiedError(f"process {self.index} ended without an error message ({how})")


def _listen(members: Sequence[_Member], hear: Callable[[Any], None]) -> Any:
    """Pass on what processes send until all have ended well; return what the first one gave."""
    results: dict[int, Any] = {}
    talking = {member.connection: member for member in members}
    while talking:
        for connection in wait(list(talking)):
            assert isinstance(connection, Connection)
            member = talking[connection]
            try:
                message = connection.recv()
            except (EOFError, OSError):
                del talking[connection]
                if member.index not in results:
                    raise member.death() from None
                continue
            if isinstance(message, logging.LogRecord):
                logging.getLogger(message.name).handle(message)
            elif isinstance(message, _Told):
                hear(message.value)
            elif isinstance(message, _Done):
                results[member.index] = message.result
            else:
                _raise_cause(message.error, member, talking)
    return results[0]


def _raise_cause(error: Exception, failed: _Member, talking: dict[Connection, _Member]) -> None:
    """Raise what a process reports, unless another one has died and this one only misses it."""
    del talking[failed.connection]
    deadline = time.monotonic() + SETTLING_SECONDS
    while talking and (left := deadline - time.monotonic()) > 0:
        for connection in wait(list(talking), timeout=left):
            assert isinstance(connection, Connection)
            try:
                message = connection.recv()
            except (EOFError, OSError):
                raise talking[connection].death() from error
            if isinstance(message, _Done | _Failed):
                del talking[connection]
    raise error


def _main(start: _Start, connection: Connection) -> None:
    """Be one process of the group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the driver's to handle
    threading.Thread(target=end_with_driver, daemon=True).start()
    speaking = threading.Lock()

    def send(message: Any) -> None:
        with speaking:
            connection.send(message)

    try:
        send(_Done(_work(start, send)))
    except Exception as error:
        send(_Failed(_portable(error, start)))
        threading.Event().wait()  # for the driver; by ending, the others would seem to have failed


def _work(start: _Start, send: Callable[[Any], None]) -> Any:
    work: Work = pickle.loads(start.work.read_bytes())
    _send_log(start, send)  # what the work imports may configure logging anew: Kedro does
    torch.set_num_threads(start.threads)
    os.environ["LOCAL_RANK"] = str(start.index)  # tells Lightning that processes are there already
    if start.backend == "nccl":
        torch.cuda.set_device(start.index)
    # Over a file and not a port: no other program can take it first.
    torch.distributed.init_process_group(
        start.backend,
        init_method=start.meeting.as_uri(),
        rank=start.index,
        world_size=start.count,
    )
    result = work(Rank(start.index, start.count, lambda value: send(_Told(value))))
    torch.distributed.barrier()  # who is ready first does not leave the others alone
    torch.distributed.destroy_process_group()
    return result if start.index == 0 else None


def _send_log(start: _Start, send: Callable[[Any], None]) -> None:
    package = logging.getLogger(PACKAGE)
    package.setLevel(start.log_level if start.index == 0 else logging.ERROR)
    package.handlers = [_Relay(send)]
    package.propagate = False


class _Relay(QueueHandler):
    """Sends log lines to the driver."""

    def __init__(self, send: Callable[[Any], None]) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._send = send

    def enqueue(self, record: logging.LogRecord) -> None:
        self._send(record)


def _portable(error: Exception, start: _Start) -> Exception:
    """Return the error with where it came from, in a form that can be sent."""
    where = f"In process {start.index} of {start.count}:\n{traceback.format_exc()}"
    with suppress(Exception):
        error.add_note(where)
        copy = pickle.loads(pickle.dumps(error))
        if isinstance(copy, type(error)):
            return error
    return RuntimeError(where)
