"""Copies on this machine of what lies in a bucket, and what is made here before it is put there.

A copy is filed under its place and its tag, so it is never stale; those of parts are filed under
their place alone, since a part never changes. Any copy may be removed at any time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any, Final

from tiktok_virality.schema import digest
from tiktok_virality.storage.objects import ObjectPath

COPIES: Final = "copies"
WORKING: Final = "working"
"""Folders in which something is made; nobody removes them but their maker."""

FIXED: Final = "fixed"
"""Stands for the tag of what never changes."""

AT_ONCE: Final = 16
"""Requests under way: each waits for the server most of its time."""

LONGEST_NAME: Final = 120
LEFT_AFTER_TRIM: Final = 0.9

_COUNTING: Final = Lock()
_FILLED: Final = [0]
"""Bytes of copies since this process last made room."""


def near(place: Path | ObjectPath, *, fixed: bool = False) -> Path:
    """Return a file of this machine with the content of a place: itself, or a copy.

    Args:
        place: Of a file.
        fixed: What is there never changes: who has a copy asks nobody.

    Raises:
        FileNotFoundError: There is none.
        StorageError: The bucket is missing, or refuses.
    """
    if isinstance(place, Path):
        return place
    if fixed:
        copy = _copy_of(place, FIXED)
        return copy if copy.exists() else _download(place, FIXED)
    status = place.stat()
    copy = _copy_of(place, status.e_tag)
    if copy.exists() and copy.stat().st_size == status.st_size:
        os.utime(copy)  # it is in use: others go first
        return copy
    return _download(place)


def put_and_keep(place: ObjectPath, content: Any) -> None:
    """Put what never changes, and keep a copy of it here: who has made it is likely to read it.

    Args:
        place: Of the object.
        content: Bytes, or what lends them.
    """
    place.write_bytes(content)
    copy = _copy_of(place, FIXED)
    copy.parent.mkdir(parents=True, exist_ok=True)
    begun = copy.with_name(f".{uuid.uuid4().hex}")
    begun.write_bytes(content)
    begun.replace(copy)
    _trim_at_times(place, copy)


def bring_near(places: Iterable[Path | ObjectPath]) -> None:
    """Have copies of what never changes, many at a time; where one cannot be had, nothing is said.

    Whoever opens it next hears of that.
    """
    lacking = [
        place
        for place in places
        if isinstance(place, ObjectPath) and not _copy_of(place, FIXED).exists()
    ]
    if not lacking:
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for done in [pool.submit(near, place, fixed=True) for place in lacking]:
            done.exception()


def near_folder(folder: Path | ObjectPath) -> Path:
    """Return a folder of this machine with the files of a place: itself, or a copy."""
    if isinstance(folder, Path):
        return folder
    files = sorted(each for each in folder.iterdir() if not each.lists)
    mark = digest([[file.name, file.stat().e_tag] for file in files])[:32]
    copy = _copies_of(folder) / mark / _name(folder)
    if not _is_whole(copy, files):
        shutil.rmtree(copy, ignore_errors=True)  # copies of single files go when there is no room
        copy.parent.mkdir(parents=True, exist_ok=True)
        begun = copy.with_name(f".{uuid.uuid4().hex}")
        begun.mkdir()
        for file in files:
            file.download(begun / file.name)
        try:
            begun.rename(copy)
        except OSError:  # another was faster
            shutil.rmtree(begun)
    return copy


def _is_whole(copy: Path, files: Iterable[ObjectPath]) -> bool:
    """Tell whether a copy of a folder has all of its files, at their sizes."""
    sizes = {file.name: file.stat().st_size for file in files}
    try:
        return {each.name: each.stat().st_size for each in copy.iterdir()} == sizes
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def made_for(folder: Path | ObjectPath) -> Iterator[Path]:
    """Give a folder of this machine to write files into that belong to a place: itself, or another.

    From there they are put when all of them are written, and what was there under other names goes,
    but for hidden files.
    """
    if isinstance(folder, Path):
        yield folder
        return
    with TemporaryDirectory() as made:
        yield Path(made)
        for file in sorted(Path(made).iterdir()):
            (folder / file.name).put_file(file)
        names = {file.name for file in Path(made).iterdir()}
        for earlier in folder.iterdir():
            if earlier.name not in names and not earlier.name.startswith(".") and not earlier.lists:
                earlier.unlink()


def working_folder(folder: Path | ObjectPath) -> Path:
    """Return the folder of this machine in which what belongs to a place is made.

    It stays where it is: what was killed goes on there, without asking for what it had put.
    """
    if isinstance(folder, Path):
        return folder
    made = _cache_of(folder) / WORKING / _mark_of(folder) / _name(folder)
    made.mkdir(parents=True, exist_ok=True)
    return made


def remove_folder(folder: Path | ObjectPath) -> None:
    """Remove a folder with all that is in it."""
    if isinstance(folder, Path):
        shutil.rmtree(folder)
        return
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(ObjectPath.unlink, folder.rglob("*")))


def forget_copies(place: Path | ObjectPath) -> bool:
    """Remove the copies that this machine has of a place; tell whether there were any."""
    if isinstance(place, Path):
        return False
    copies = _copies_of(place)
    there = copies.exists()
    shutil.rmtree(copies, ignore_errors=True)
    return there


def trim_copies(place: Path | ObjectPath) -> int:
    """Remove the copies that were not used for longest, where they take too much room.

    Args:
        place: In the bucket whose copies are meant; all that share their cache count.

    Returns:
        How many bytes went.
    """
    if isinstance(place, Path):
        return 0
    files: list[tuple[float, int, Path]] = []
    for folder, _, names in os.walk(_cache_of(place) / COPIES):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                file = Path(folder) / name
                status = file.stat()
                used = max(status.st_mtime, status.st_atime)
                files.append((used, status.st_size, file))
    most = int(place.access.gigabytes * 1e9)
    total = sum(size for _, size, _ in files)
    if total <= most:
        return 0
    freed = 0
    for _, size, file in sorted(files):
        if total - freed <= most * LEFT_AFTER_TRIM:
            break
        file.unlink(missing_ok=True)
        freed += size
    return freed


def _download(place: ObjectPath, tag: str | None = None) -> Path:
    """Fetch a copy, and file it under a tag, or under that of what was fetched."""
    copies = _copies_of(place)
    copies.mkdir(parents=True, exist_ok=True)
    begun = copies / f".{uuid.uuid4().hex}"
    try:
        status = place.download(begun)
        copy = _copy_of(place, tag or status.e_tag)
        copy.parent.mkdir(exist_ok=True)
        begun.replace(copy)
    except BaseException:
        begun.unlink(missing_ok=True)
        raise
    _trim_at_times(place, copy)
    return copy


def _trim_at_times(place: ObjectPath, copy: Path) -> None:
    """Note a new copy; whenever some share of the room was filled by this process, make room.

    So the limit holds on machines of workers, too, on which no run begins.
    """
    with _COUNTING:
        _FILLED[0] += copy.stat().st_size
        if _FILLED[0] < place.access.gigabytes * 1e9 * (1 - LEFT_AFTER_TRIM):
            return
        _FILLED[0] = 0
    trim_copies(place)


def _copy_of(place: ObjectPath, tag: str) -> Path:
    return _copies_of(place) / tag / _name(place)


def _cache_of(place: ObjectPath) -> Path:
    return place.access.folder.expanduser()


def _copies_of(place: ObjectPath) -> Path:
    mark = _mark_of(place)
    return _cache_of(place) / COPIES / mark[:2] / mark[2:]


def _mark_of(place: ObjectPath) -> str:
    return digest([place.access.endpoint, place.bucket, place.key])[:32]


def _name(place: ObjectPath) -> str:
    """Return the name of a copy: that of the object where a file system takes it."""
    if len(place.name.encode()) <= LONGEST_NAME and place.name not in ("", ".", ".."):
        return place.name
    return digest(place.key)[:32] + place.suffix
