"""One run at a time on data in a bucket: there is no kernel to hold a lock, so it is held by turns.

A lock is an object that is put under the condition that there is none, which the server decides.
Who holds it puts it anew every `BEAT_SECONDS`; one that was not for `LAPSED_SECONDS` is taken over,
and at once where its process is known to be gone. Ages are told by the server's clock alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

import psutil

from tiktok_virality.datasets.run_lock import FOLDER, NOTE_SUFFIX, Holder, RunLock, who_has_it
from tiktok_virality.schema import BusyError, StorageError
from tiktok_virality.storage import ObjectPath, Place

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 20.0
LAPSED_SECONDS: Final = 120.0
SHARED: Final = "-shared-"


def take_lock(data: Place, *, shared: bool, name: str) -> RunLock | RunLease:
    """Take the right to change the data in a place, or say who has it.

    Args:
        data: Folder of the data.
        shared: Whether others may have it too that share it.
        name: Of the lock; who has another is no obstacle.

    Raises:
        BusyError: Another process has it; the message says which.
    """
    if isinstance(data, ObjectPath):
        return RunLease.take(data, shared=shared, name=name)
    return RunLock.take(data, shared=shared, name=name)


class RunLease:
    """The right to change the data in a bucket, held for as long as this process says so.

    Runs of different shards share it; a whole run has it alone. Either puts its own object first
    and then looks for others, so that of two at once at most one goes on.
    """

    def __init__(self, note: ObjectPath | None = None, e_tag: str = "") -> None:
        self._note = note
        self._e_tag = e_tag
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)
        if note is not None:
            self._beating.start()

    @classmethod
    def take(cls, data: ObjectPath, *, shared: bool, name: str) -> RunLease:
        """Take it, or say who has it.

        Raises:
            BusyError: Another process has it; the message says which.
            StorageError: The server does not answer.
        """
        try:
            return cls._take(data, shared=shared, name=name)
        except OSError as error:
            raise StorageError(
                f"{error.strerror}, so nothing was begun. Start the server, or mend the endpoint "
                f"in conf/local/credentials.yml; the data are to be at {data}."
            ) from None

    @classmethod
    def _take(cls, data: ObjectPath, *, shared: bool, name: str) -> RunLease:
        folder = data / FOLDER
        own = f"{name}{SHARED}{uuid.uuid4().hex}" if shared else name
        note = folder / f"{own}{NOTE_SUFFIX}"
        try:
            e_tag = _put(note)
        except NotImplementedError as error:
            logger.warning(
                "Nothing keeps other runs off %s: %s. See to it that there is one run at a time.",
                data,
                error,
            )
            return cls()
        others = [] if e_tag is None else list(_others(folder, name, note, shared=shared))
        if e_tag is None or others:
            if e_tag is not None:
                note.unlink()
            raise BusyError(who_has_it(data, others or list(_holder_in(note))))
        return cls(note, e_tag)

    def release(self) -> None:
        """Let others have it."""
        self._ended.set()
        if self._note is not None:
            self._beating.join()
            with contextlib.suppress(OSError):
                self._note.unlink()
        self._note = None

    def _beat(self) -> None:
        """Say again and again that this process is there."""
        note = self._note
        assert note is not None
        while not self._ended.wait(BEAT_SECONDS):
            try:
                self._e_tag = note.exchange(_holder_text(), self._e_tag)
            except FileExistsError:
                logger.error(
                    "Another run has taken the data of this one, which had not been heard of for "
                    "%.0f seconds. End one of them.",
                    LAPSED_SECONDS,
                )
                self._note = None
                return
            except Exception as error:
                logger.warning("The lock of this run could not be renewed: %s", error)

    def __enter__(self) -> RunLease:
        return self

    def __exit__(self, *unused: object) -> None:
        self.release()


def _put(note: ObjectPath) -> str | None:
    """Put a note if there is none, or none whose writer is still there; return its tag if so."""
    with contextlib.suppress(FileExistsError):
        return note.create(_holder_text())
    try:
        status = note.stat()
        if not _is_lapsed(note):
            return None
        return note.exchange(_holder_text(), status.e_tag)
    except FileNotFoundError:  # its writer has just ended
        return _put(note)
    except FileExistsError:  # another was faster
        return None


def _others(folder: ObjectPath, name: str, own: ObjectPath, *, shared: bool) -> Iterator[Holder]:
    """Yield who is in the way, and remove the notes of those that are gone."""
    for note in folder.iterdir():
        is_shared = note.name.startswith(name + SHARED)
        if note == own or not (is_shared or note.name == name + NOTE_SUFFIX):
            continue
        if is_shared and shared:
            continue
        with contextlib.suppress(FileNotFoundError):
            if _is_lapsed(note):
                note.unlink()
            else:
                yield from _holder_in(note)


def _is_lapsed(note: ObjectPath) -> bool:
    """Tell whether the writer of a note is gone."""
    here = Holder.here()
    holder = next(_holder_in(note), None)
    if holder is not None and holder.host == here.host and not psutil.pid_exists(holder.pid):
        return True
    return _now(note.parent) - note.fresh.stat().st_mtime_ns > LAPSED_SECONDS * 1e9


def _now(folder: ObjectPath) -> int:
    """Return the server's time, in nanoseconds since 1970."""
    probe = folder / f".clock-{uuid.uuid4().hex}"
    probe.write_bytes(b"")
    try:
        return probe.stat().st_mtime_ns
    finally:
        probe.unlink()


def _holder_in(note: ObjectPath) -> Iterator[Holder]:
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        yield Holder(
            **{key: value for key, value in json.loads(note.read_bytes()).items() if key != "beat"}
        )


def _holder_text() -> bytes:
    """Return a note of this process that is no other's: a tag is made of the content alone."""
    return json.dumps({**asdict(Holder.here()), "beat": uuid.uuid4().hex}).encode()
