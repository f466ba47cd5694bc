"""What each rank of a training does, and how its driver listens to all, wherever they run."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from logging.handlers import QueueHandler
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
from torch.distributed.distributed_c10d import Store

from tiktok_virality.schema import TrainingError

PACKAGE = __name__.partition(".")[0]


class RankDiedError(Exception):
    """A rank ended without saying why: it was killed, it crashed, or its machine was lost."""


@dataclass(frozen=True)
class Rank:
    """The place of a process in its group.

    Attributes:
        index: From 0; the first one logs and saves.
        count: Processes of the group.
        tell: Sends a value to the driver.
        gpu: Number of its own among those that it sees.
    """

    index: int
    count: int
    tell: Callable[[Any], None]
    gpu: int = 0


Work = Callable[[Rank], Any]


class Group(Protocol):
    """Where ranks run."""

    @property
    def count(self) -> int:
        """How many ranks the latest work had, or is going to have."""
        ...

    def run(self, work: Work, hear: Callable[[Any], None]) -> Any:
        """Do work in all ranks at once, and return what it gives in the first.

        The driver does nothing meanwhile but listen: `hear` is called with what the work tells, and
        log lines of the first rank are logged here, as if they had been written here. A fault in
        one rank ends all of them.

        Args:
            work: Can be pickled; called in every rank, in which torch's group has been formed.
            hear: Takes what is told.

        Raises:
            RankDiedError: One ended without saying why.
            Exception: What the work raised in one of them, with a note that says where.
        """
        ...


class ThisProcess:
    """The one rank is the driver itself."""

    count = 1

    def run(self, work: Work, hear: Callable[[Any], None]) -> Any:
        """Do the work here."""
        return work(Rank(0, 1, hear))


@dataclass(frozen=True)
class Told:
    """A value for the driver."""

    value: Any


@dataclass(frozen=True)
class Done:
    """What the work of a rank gave."""

    result: Any


@dataclass(frozen=True)
class Failed:
    """Why it gave nothing."""

    error: Exception


Message = logging.LogRecord | Told | Done | Failed


@dataclass(frozen=True)
class WrittenWork:
    """Work in a file, which is looked into only while it is what the driver has written.

    Attributes:
        file: Holds it, pickled.
        checksum: SHA-256 of that, which ranks are told otherwise than by a file.
    """

    file: Path
    checksum: str

    @classmethod
    def written(cls, work: Work, file: Path) -> WrittenWork:
        """Write work into a file."""
        content = pickle.dumps(work)
        file.write_bytes(content)
        return cls(file, hashlib.sha256(content).hexdigest())

    def read(self) -> Work:
        """Return the work.

        Raises:
            TrainingError: The file is not there, or not what was written.
        """
        try:
            content = self.file.read_bytes()
        except FileNotFoundError:
            raise TrainingError(
                f"{self.file.parent} is not there: every machine that trains needs the data folder "
                "under the same path (see docs/scaling.md)."
            ) from None
        if hashlib.sha256(content).hexdigest() != self.checksum:
            raise TrainingError(
                f"{self.file} is not what was written there, so nothing of it is done. Find out "
                "who else writes in this folder, and run the same command again."
            )
        work: Work = pickle.loads(content)
        return work


@dataclass(frozen=True, kw_only=True)
class Start:
    """All that a rank must know, which is little: the work is in a file, written once.

    Attributes:
        work: What is to be done.
        index: Of the rank.
        count: Ranks of the group.
        backend: Of torch's group.
        gpu: Number of its own, where it has one.
        threads: Of each rank.
        log_level: From which on the first rank's lines reach the driver.
    """

    work: WrittenWork
    index: int
    count: int
    backend: Literal["nccl", "gloo"]
    gpu: int
    threads: int
    log_level: int


def log_level() -> int:
    """Return from which level on the lines of this project are logged here."""
    return logging.getLogger(PACKAGE).getEffectiveLevel()


def take_part(start: Start, meet: Callable[[], Store], send: Callable[[Message], None]) -> None:
    """Be one rank, from the start to the last word: `Done` or `Failed`.

    Args:
        start: What there is to do.
        meet: Returns the store over which the ranks find each other.
        send: Sends to the driver.
    """
    speaking = threading.Lock()

    def say(message: Message) -> None:
        with speaking:
            send(message)

    try:
        say(Done(_work(start, meet, say)))
    except Exception as error:
        say(Failed(_portable(error, start)))
    except BaseException as error:  # whoever listens to a thread does not hear that it ends
        ended = TrainingError(f"the work ended by {type(error).__name__}: {error}")
        say(Failed(_portable(ended, start)))
        raise


def _work(start: Start, meet: Callable[[], Store], send: Callable[[Message], None]) -> Any:
    work = start.work.read()
    _send_log(start, send)  # what the work imports may configure logging anew: Kedro does
    torch.set_num_threads(start.threads)
    # Lightning is told that every rank is there already, on a machine of its own with one device.
    os.environ |= {"LOCAL_RANK": "0", "NODE_RANK": str(start.index)}
    if start.backend == "nccl":
        torch.cuda.set_device(start.gpu)
    torch.distributed.init_process_group(
        start.backend, store=meet(), rank=start.index, world_size=start.count
    )
    result = work(Rank(start.index, start.count, lambda value: send(Told(value)), start.gpu))
    torch.distributed.barrier()  # who is ready first does not leave the others alone
    torch.distributed.destroy_process_group()
    return result if start.index == 0 else None


def _send_log(start: Start, send: Callable[[Message], None]) -> None:
    package = logging.getLogger(PACKAGE)
    package.setLevel(start.log_level if start.index == 0 else logging.ERROR)
    package.handlers = [_Relay(send)]
    package.propagate = False


class _Relay(QueueHandler):
    """Sends log lines to the driver."""

    def __init__(self, send: Callable[[Message], None]) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._send = send

    def enqueue(self, record: logging.LogRecord) -> None:
        self._send(record)


def _portable(error: Exception, start: Start) -> Exception:
    """Return the error with where it came from, in a form that can be sent."""
    where = f"In process {start.index} of {start.count}:\n{traceback.format_exc()}"
    with suppress(Exception):
        error.add_note(where)
        copy = pickle.loads(pickle.dumps(error))
        if isinstance(copy, type(error)):
            return error
    return RuntimeError(where)


class Ranks(Protocol):
    """Ranks that have been started, as their driver hears them."""

    count: int

    def heard(self) -> Sequence[tuple[int, Message]]:
        """Wait until some rank says something, and return who has said what.

        Raises:
            RankDiedError: One that is not done has ended.
        """
        ...

    def check_others(self) -> None:
        """See whether a rank has failed only because another one is gone.

        Raises:
            RankDiedError: One is.
        """
        ...


def follow(ranks: Ranks, hear: Callable[[Any], None]) -> Any:
    """Pass on what ranks say until all are done; return what the first one gave.

    Raises:
        RankDiedError: One ended without saying why.
        Exception: What one of them has failed with.
    """
    results: dict[int, Any] = {}
    while len(results) < ranks.count:
        for index, message in ranks.heard():
            if isinstance(message, logging.LogRecord):
                logging.getLogger(message.name).handle(message)
            elif isinstance(message, Told):
                hear(message.value)
            elif isinstance(message, Done):
                results[index] = message.result
            else:
                ranks.check_others()
                raise message.error
    return results[0]
