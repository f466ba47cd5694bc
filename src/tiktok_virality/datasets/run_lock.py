"""One run at a time on the same data, and whose turn it is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shlex
import socket
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from tiktok_virality.schema import BusyError
from tiktok_virality.storage import Place

logger = logging.getLogger(__name__)

FOLDER: Final = ".runs"
LOCK_NAME: Final = "lock"
COLLECTING: Final = "collecting"
"""Another lock: videos may be found and fetched for days while earlier ones are worked on."""

NOTE_SUFFIX: Final = ".json"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A process that works on the data.

    Attributes:
        pid: Of the process.
        host: Where it runs.
        since: When it began, as that machine has it.
        command: As it was started.
    """

    pid: int
    host: str
    since: str
    command: str

    @classmethod
    def here(cls) -> Holder:
        """Return this process."""
        return cls(
            pid=os.getpid(),
            host=socket.gethostname(),
            since=datetime.now(UTC).isoformat(" ", "seconds"),
            command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        )

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}: {self.command}"


class RunLock:
    """The right to change the data below a folder, alone or with others that share it.

    The kernel holds it and lets go of it when the process ends, however it ends. Runs of different
    shards share it; a whole run has it alone. Who only reads needs none.
    """

    def __init__(self, files: list[BinaryIO], note: Path | None = None) -> None:
        self._files = files
        self._note = note

    @classmethod
    def take(cls, data: Path, *, shared: bool, name: str = LOCK_NAME) -> RunLock:
        """Take it, or say who has it.

        Args:
            data: Folder of the data.
            shared: Whether others may have it too that share it.
            name: Of the lock; who has another is no obstacle.

        Raises:
            BusyError: Another process has it; the message says which.
        """
        folder = data / FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / name).open("ab")
            _sweep(folder)
            fcntl.flock(lock, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise BusyError(who_has_it(data, list(holders(folder, name)))) from error
        except OSError as error:
            logger.warning(
                "Nothing keeps other runs off %s: no lock can be taken there (%s). See to it that "
                "there is one run at a time.",
                data,
                error.strerror,
            )
            return cls([])
        note = folder / f"{name}-{uuid.uuid4().hex}{NOTE_SUFFIX}"
        file = note.open("wb")
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(json.dumps(asdict(Holder.here())).encode())
        file.flush()
        return cls([lock, file], note)

    def release(self) -> None:
        """Let others have it."""
        if self._note is not None:
            self._note.unlink(missing_ok=True)
        for file in self._files:
            file.close()
        self._files, self._note = [], None

    def __enter__(self) -> RunLock:
        return self

    def __exit__(self, *unused: object) -> None:
        self.release()


def holders(folder: Path, name: str = LOCK_NAME) -> Iterator[Holder]:
    """Yield the processes that have a lock: their notes are held."""
    for note in sorted(folder.glob(f"{name}-*{NOTE_SUFFIX}")):
        with contextlib.suppress(OSError, ValueError, TypeError):
            if _is_held(note):
                yield Holder(**json.loads(note.read_text()))


def _sweep(folder: Path) -> None:
    """Remove the notes of processes that were killed."""
    for note in folder.glob(f"*{NOTE_SUFFIX}"):
        with contextlib.suppress(OSError):
            if note.stat().st_size and not _is_held(note):
                note.unlink()


def _is_held(note: Path) -> bool:
    with note.open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def who_has_it(data: Place, holders: Sequence[Holder]) -> str:
    """Return what the second of two runs is told."""
    known = [str(holder) for holder in holders] or ["a process that has only just begun"]
    who = "\n".join(f"  {each}" for each in known)
    return (
        f"Another run is changing {data}:\n{who}\nTwo at once would undo each other's work, so "
        "this one has not begun. Wait until it has ended, or end it; what it has finished is kept."
    )
