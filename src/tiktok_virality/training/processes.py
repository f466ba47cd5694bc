"""Ranks of a training as processes of this machine."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch

from tiktok_virality.execution.workers import end_with_driver
from tiktok_virality.schema import ParameterError
from tiktok_virality.training.ranks import (
    Done,
    Failed,
    Message,
    RankDiedError,
    Start,
    Work,
    WrittenWork,
    follow,
    log_level,
    take_part,
)

SETTLING_SECONDS = 1.0
"""How long after a process has failed another is given to turn out to have died before it."""


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


def on_gpus(device: str) -> bool:
    """Return whether ``auto``, ``cpu`` or ``cuda`` means GPUs here."""
    return device != "cpu" and torch.cuda.is_available()


@dataclass(frozen=True, kw_only=True)
class ProcessGroup:
    """Several processes of this machine.

    Attributes:
        count: Of processes.
        device: ``auto``, ``cpu`` or ``cuda``: a GPU for each, or the processor shared by all.
    """

    count: int
    device: str

    def run(self, work: Work, hear: Callable[[Any], None]) -> Any:
        """Do work in all of them at once; see `ranks.Group`."""
        with TemporaryDirectory(prefix="processes-") as folder:
            written = WrittenWork.written(work, Path(folder) / "work.pickle")
            members: list[_Member] = []
            try:
                for index in range(self.count):
                    start = Start(
                        work=written,
                        index=index,
                        count=self.count,
                        backend="nccl" if on_gpus(self.device) else "gloo",
                        gpu=index,
                        threads=max(1, torch.get_num_threads() // self.count),
                        log_level=log_level(),
                    )
                    members.append(_Member.started(start))
                return follow(_Members(members), hear)
            finally:
                for member in members:
                    member.process.kill()
                    member.process.join()
                    member.connection.close()


@dataclass(frozen=True)
class _Member:
    """A process of the group, as the driver sees it."""

    index: int
    process: BaseProcess
    connection: Connection

    @classmethod
    def started(cls, start: Start) -> _Member:
        # Spawned, never forked: forking after torch or CUDA has started is unsafe.
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_main, args=(start, there), daemon=True)
        process.start()
        there.close()  # so that the end of the process is the end of what it sends
        return cls(start.index, process, here)

    def death(self) -> RankDiedError:
        self.process.join()
        code = self.process.exitcode or 0
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return RankDiedError(f"process {self.index} ended without an error message ({how})")


class _Members:
    """The processes, each heard on a pipe until it is done."""

    def __init__(self, members: Sequence[_Member]) -> None:
        self.count = len(members)
        self._talking = {member.connection: member for member in members}

    def heard(self) -> Sequence[tuple[int, Message]]:
        """Wait for the next messages."""
        return self._heard(None)

    def _heard(self, seconds: float | None) -> Sequence[tuple[int, Message]]:
        """Return the messages that come first within some time."""
        said: list[tuple[int, Message]] = []
        for connection in wait(list(self._talking), seconds):
            assert isinstance(connection, Connection)
            member = self._talking[connection]
            try:
                message = connection.recv()
            except (EOFError, OSError):
                if said:
                    continue  # first what others have said; this end stays to be heard
                raise member.death() from None
            if isinstance(message, Done | Failed):
                del self._talking[connection]
            said.append((member.index, message))
        return said

    def check_others(self) -> None:
        """Wait for a moment for somebody to turn out to have died before."""
        deadline = time.monotonic() + SETTLING_SECONDS
        while self._talking and (left := deadline - time.monotonic()) > 0:
            self._heard(left)


def _main(start: Start, connection: Connection) -> None:
    """Be one process of the group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the driver's to handle
    threading.Thread(target=end_with_driver, daemon=True).start()
    # Over a file and not a port: no other program can take it first.
    meeting = str(start.work.file.with_name("meeting"))
    open_store = torch.distributed.FileStore  # type: ignore[attr-defined]
    take_part(start, lambda: open_store(meeting, start.count), connection.send)
    threading.Event().wait()  # for the driver; by ending, the others would seem to have failed
