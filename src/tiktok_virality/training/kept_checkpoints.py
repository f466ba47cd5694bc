"""Checkpoints of a training whose data lie in a bucket: made here, put there, fetched to go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from lightning.pytorch.callbacks import Callback

from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.execution.absence import is_away, patiently
from tiktok_virality.schema import StorageError
from tiktok_virality.storage import ObjectPath, Place, working_folder

logger = logging.getLogger(__name__)

PUT_EVERY_SECONDS: Final = 60.0
"""While it goes on; a lost machine costs as much, and the epoch under way."""

TAG_NAME: Final = ".tag"
"""Of the file that has the tag of the checkpoint that this machine was the last to put or fetch."""


def wait_for_bucket(attempt: Callable[[], None]) -> None:
    """Do something with a bucket, and again while it does not answer, as stages do.

    Raises:
        StorageError: It has not answered for too long.
    """
    try:
        patiently(attempt)
    except OSError as error:
        if not is_away(error):
            raise
        raise StorageError(
            f"{error.strerror}: {error.filename}. What this machine has trained is kept on it: run "
            "the same command here again, once the bucket answers."
        ) from error


def fetch_files(place: Place, names: tuple[str, ...]) -> None:
    """Fetch files of a folder into the one of this machine where they are worked on.

    Args:
        place: The folder; on a disk there is nothing to fetch.
        names: Of the files; those that are not there are left out.
    """
    if isinstance(place, Path):
        return
    made = working_folder(place)
    for name in names:
        begun = made / f".{name}"
        try:
            (place / name).download(begun)
        except FileNotFoundError:
            continue
        begun.replace(made / name)


def put_files(place: Place, names: tuple[str, ...]) -> None:
    """Put files of this machine where they are kept, in this order; on a disk they are there."""
    if isinstance(place, Path):
        return
    made = working_folder(place)
    for name in names:
        if (made / name).exists():
            (place / name).put_file(made / name)


def fetch_unfinished(place: ObjectPath, best: str, last: str) -> None:
    """Fetch the checkpoints of a training that goes on, unless those of this machine are as new.

    They are while what is in the bucket is what this machine has put or fetched: else another one
    has gone on with the training.
    """
    made = working_folder(place)
    try:
        tag = (place / last).stat().e_tag
    except FileNotFoundError:
        tag = None
    if (made / best).exists() and tag in (None, _noted(made)):
        return
    fetch_files(place, (best, last))
    if tag is not None:
        write_bytes_atomically(made / TAG_NAME, tag.encode())


def put_unfinished(place: ObjectPath, best: str, last: str) -> None:
    """Put the checkpoints of a training that goes on, and note that they are this machine's."""
    put_files(place, (best, last))
    made = working_folder(place)
    if (made / last).exists():
        write_bytes_atomically(made / TAG_NAME, (place / last).stat().e_tag.encode())


def fetch_journal(folder: Place, name: str) -> None:
    """Have here what the journal in the bucket has, and there what only that of this machine has.

    Journals are appended to. If each has what the other lacks, that in the bucket counts, and the
    other is set aside: it ends in a trial that another machine has tried too.
    """
    if isinstance(folder, Path):
        return
    made = working_folder(folder) / name
    kept, here = _journals(folder, name)
    if here.startswith(kept):
        if here != kept:
            (folder / name).put_file(made)
        return
    if not kept.startswith(here):
        aside = made.with_name(f"{name}.aside")
        made.replace(aside)
        logger.warning("%s: another machine has gone on; the one here is now %s", made, aside.name)
    write_bytes_atomically(made, kept)


def put_journal(folder: Place, name: str) -> None:
    """Put a journal of this machine where it is kept, unless that has what this one lacks."""
    if isinstance(folder, Path):
        return
    kept, here = _journals(folder, name)
    if here.startswith(kept):
        (folder / name).put_file(working_folder(folder) / name)
    else:
        logger.warning("%s was not put: another machine has gone on with it", folder / name)


class PuttingCheckpoints(Callback):
    """Puts what the last epoch has left now and then, so that another machine can go on."""

    def __init__(self, place: ObjectPath, best: str, last: str) -> None:
        self._place = place
        self._best = best
        self._last = last
        self._put = time.monotonic()
        self._is_away = False

    def on_train_epoch_start(self, *unused: Any) -> None:
        """Put them, if that was long ago; while the bucket is away, training goes on."""
        if time.monotonic() - self._put < PUT_EVERY_SECONDS:
            return
        try:
            put_unfinished(self._place, self._best, self._last)
        except OSError as error:
            if not self._is_away:
                logger.warning("%s; training goes on, its checkpoints are put later", error)
            self._is_away = True
            return
        self._is_away = False
        self._put = time.monotonic()


def _noted(made: Path) -> str | None:
    """Return the tag of the checkpoint that this machine was the last to put or fetch."""
    try:
        return (made / TAG_NAME).read_text()
    except FileNotFoundError:
        return None


def _journals(folder: ObjectPath, name: str) -> tuple[bytes, bytes]:
    """Return the journal in the bucket and that of this machine; nothing for one that is absent."""
    found: list[bytes] = []
    for place in (folder / name, working_folder(folder) / name):
        try:
            found.append(place.read_bytes())
        except FileNotFoundError:
            found.append(b"")
    return found[0], found[1]
