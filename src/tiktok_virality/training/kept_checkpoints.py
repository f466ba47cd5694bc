"""Checkpoints of a training whose data lie in a bucket: made here, put there, fetched to go on."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

from lightning.pytorch.callbacks import Callback

from tiktok_virality.storage import ObjectPath, Place, working_folder

PUT_EVERY_SECONDS: Final = 60.0
"""While it goes on; a lost machine costs as much, and the epoch under way."""


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


class PuttingCheckpoints(Callback):
    """Puts what the last epoch has left now and then, so that another machine can go on."""

    def __init__(self, place: ObjectPath, names: tuple[str, ...]) -> None:
        self._place = place
        self._names = names
        self._put = time.monotonic()

    def on_train_epoch_start(self, *unused: Any) -> None:
        """Put them, if that was long ago."""
        if time.monotonic() - self._put >= PUT_EVERY_SECONDS:
            put_files(self._place, self._names)
            self._put = time.monotonic()
