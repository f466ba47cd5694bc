"""One run at a time on data in a bucket: there is no kernel to hold a lock, so it is held by turns.

A lock is an object that is put under the condition that there is none, which the server decides.
Who holds it puts it anew every `BEAT_SECONDS`; one that was not for `LAPSED_SECONDS` is taken over,
and at once where its process is known to be gone: it was of this boot and of this namespace of
process ids, for names of hosts are shared by clones. Ages are told by the server's clock alone.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import psutil

from tiktok_virality.datasets.run_lock import FOLDER, NOTE_SUFFIX, Holder, RunLock, who_has_it
from tiktok_virality.schema import BusyError, StorageError
from tiktok_virality.storage import ObjectPath, Place

logger = logging.getLogger(__name__)

BEAT_SECONDS: Final = 20.0
LAPSED_SECONDS: Final = 120.0
SHARED: Final = "-shared-"

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
PID_NAMESPACE: Final = Path("/proc/self/ns/pid")


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

    def __init__(self, note: ObjectPath | None = None, e_tag: str = "", run: str = "") -> None:
        self._note = note
        self._e_tag = e_tag
        self._run = run
        self._ended = threading.Event()
        self._beating = threading.Thread(target=self._beat, args=(note,), daemon=True)
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
        run = uuid.uuid4().hex
        try:
            e_tag = _put(note, run)
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
        return cls(note, e_tag, run)

    def release(self) -> None:
        """Let others have it; what cannot be removed is said, and lapses."""
        self._ended.set()
        note, self._note = self._note, None
        if note is None:
            return
        self._beating.join()
        try:
            # The client knows no delete under a condition, and few servers do (Amazon's does):
            # who takes it over between these two requests loses it, as its next beat says.
            if self._wrote(note):
                note.unlink()
        except FileNotFoundError:
            pass
        except (OSError, StorageError) as error:
            logger.warning(
                "The lock of this run could not be removed, so that others may have to wait for "
                "%.0f seconds: %s",
                LAPSED_SECONDS,
                error,
            )

    def _beat(self, note: ObjectPath) -> None:
        """Say again and again that this process is there."""
        while not self._ended.wait(BEAT_SECONDS):
            try:
                if not self._renew(note):
                    return
            except Exception as error:
                logger.warning("The lock of this run could not be renewed: %s", error)

    def _renew(self, note: ObjectPath) -> bool:
        """Put the note anew; tell whether this run still has the lock."""
        try:
            self._e_tag = note.exchange(_note_text(self._run), self._e_tag)
        except (FileExistsError, FileNotFoundError):
            return self._find_again(note)
        return True

    def _find_again(self, note: ObjectPath) -> bool:
        """Find out why a note has another tag; tell whether this run still has the lock.

        The server may have taken a beat of this run whose answer was lost: its tag is the one.
        """
        try:
            # The tag first: one that is newer than what is read may be another's.
            e_tag = note.stat().e_tag
            is_own = self._wrote(note)
        except FileNotFoundError:
            self._e_tag = note.create(_note_text(self._run))
            logger.warning(
                "The lock of this run was gone and has been put anew. See to it that no other run "
                "has begun on its data."
            )
            return True
        if is_own:
            self._e_tag = e_tag
        else:
            logger.error(
                "Another run has taken the data of this one, which had not been heard of for "
                "%.0f seconds. End one of them.",
                LAPSED_SECONDS,
            )
        return is_own

    def _wrote(self, note: ObjectPath) -> bool:
        """Tell whether what is in a note is of this run.

        Raises:
            FileNotFoundError: There is no note.
        """
        return _read(note).get("run") == self._run

    def __enter__(self) -> RunLease:
        return self

    def __exit__(self, *unused: object) -> None:
        self.release()


def _put(note: ObjectPath, run: str) -> str | None:
    """Put a note if there is none, or none whose writer is still there; return its tag if so."""
    with contextlib.suppress(FileExistsError):
        return note.create(_note_text(run))
    try:
        status = note.stat()
        if not _is_lapsed(note):
            return None
        return note.exchange(_note_text(run), status.e_tag)
    except FileNotFoundError:  # its writer has just ended
        return _put(note, run)
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
    said, here = _read(note), _pids_are_of()
    if here and said.get("pids_are_of") == here and not psutil.pid_exists(said["pid"]):
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


def _pids_are_of() -> str:
    """Return within what a process id means one process: a boot and a namespace; or nothing."""
    try:
        return f"{BOOT_ID.read_text().strip()} {PID_NAMESPACE.readlink()}"
    except OSError:  # another system than Linux, or one that hides them
        return ""


def _read(note: ObjectPath) -> dict[str, Any]:
    """Return what a note says; nothing if it is not one.

    Raises:
        FileNotFoundError: There is none.
    """
    with contextlib.suppress(ValueError):
        said = json.loads(note.read_bytes())
        if isinstance(said, dict):
            return said
    return {}


def _holder_in(note: ObjectPath) -> Iterator[Holder]:
    with contextlib.suppress(FileNotFoundError, KeyError):
        said = _read(note)
        yield Holder(**{field.name: said[field.name] for field in fields(Holder)})


def _note_text(run: str) -> bytes:
    """Return a note of a run of this process that is no other's, nor an earlier one of its own.

    A tag may be made of the content alone, hence the beat.
    """
    said = {"pids_are_of": _pids_are_of(), "run": run, "beat": uuid.uuid4().hex}
    return json.dumps({**asdict(Holder.here()), **said}).encode()
