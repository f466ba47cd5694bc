"""Whether stored bytes are those that were written: checksums, and what becomes of damage.

A part has two kinds of bytes. What one must trust to find anything, as the ledger, texts, shapes
and the places of values, has one checksum, which is in the name of the file: it is compared each
time a part is opened. The values of a cell, as the frames of a clip, have one each, in a column
beside them: it is compared when the cell is read, so that planning reads no frames.
"""

from __future__ import annotations

import contextlib
import logging
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tiktok_virality.schema import DamageError
from tiktok_virality.storage import ObjectPath, Place, forget_copies, near, rename

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

CHECK_SUFFIX: Final = ":check"
DAMAGED_SUFFIX: Final = ".damaged"
PART_SUFFIX: Final = ".arrow"
PART_NAME: Final = re.compile(r"part-(?:(\d{8})-)?[0-9a-f]{32}(?:-([0-9a-f]{8}))?\.arrow")
"""Generation, a mark of its own, and the checksum; earlier versions of this had the mark alone."""


def part_name(generation: int, mark: str, checksum: int) -> str:
    """Return the name of a new part; its mark is 32 hexadecimal digits."""
    return f"part-{generation:08d}-{mark}-{checksum:08x}{PART_SUFFIX}"


def parts_named(folder: Place, generation: int, mark: str) -> Iterator[Place]:
    """Yield the parts of a folder with a mark, whatever is in them."""
    return folder.glob(part_name(generation, mark, 0).replace("-00000000.", "-*."))


def generation_of(path: Place) -> int:
    """Return in which save a part was written: one more than all that were there before.

    Clocks go back, and files come from machines whose clock is ahead; this number only grows.
    """
    found = PART_NAME.fullmatch(path.name)
    return int(found[1] or 0) if found else 0


def check_part(path: Place, content: pa.Buffer, table: pa.Table) -> None:
    """Compare what one must trust of a part with the checksum in its name, if it has one.

    Raises:
        DamageError: It is not what was written.
    """
    found = PART_NAME.fullmatch(path.name)
    if found and found[2] and checksum_of(content, table) != int(found[2], 16):
        raise DamageError("what is in it is not what was written")


def checksum_of(content: pa.Buffer, table: pa.Table) -> int:
    """Return the CRC-32 of the bytes of a part, without the values that have one of their own.

    Args:
        content: The whole file.
        table: Mapped on it.
    """
    view = memoryview(content)
    checksum, position = 0, 0
    for start, end in sorted(_places_of_values(content, table)):
        checksum = zlib.crc32(view[position:start], checksum)
        position = end
    return zlib.crc32(view[position:], checksum)


def _places_of_values(content: pa.Buffer, table: pa.Table) -> Iterator[tuple[int, int]]:
    for name in table.column_names:
        if name + CHECK_SUFFIX in table.column_names and _is_list(table.schema.field(name).type):
            for chunk in table.column(name).chunks:
                buffer = chunk.values.buffers()[-1]
                if buffer is not None and buffer.size:
                    start = buffer.address - content.address
                    yield start, start + buffer.size


def _is_list(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return pa.types.is_large_list(kind)


def checksum_of_value(value: Any) -> int | None:
    """Return the CRC-32 of an array, of bytes, or of a list of bytes; ``None`` of nothing."""
    if value is None:
        return None
    if isinstance(value, np.ndarray):
        return zlib.crc32(np.ascontiguousarray(value).reshape(-1).view(np.uint8).data)
    checksum = 0
    for each in [value] if isinstance(value, bytes) else value:
        checksum = zlib.crc32(each, checksum)
    return checksum


def check_value(path: Place, value: Any, checksum: int | None, whose: str) -> None:
    """Compare a value with its checksum, if it has one; set its file aside where it differs.

    Args:
        path: Of the file that holds it.
        value: As `checksum_of_value` takes it.
        checksum: When it was written.
        whose: For the message.

    Raises:
        DamageError: It is not what was written.
    """
    if checksum is not None and checksum_of_value(value) != checksum:
        raise damage(path, f"{whose} is not what was written")


def damage(path: Place, what: str) -> DamageError:
    """Set a damaged file aside, and return the error that says so.

    Where it is only the copy of an object that is damaged, the copy goes, and the object stays.
    """
    if isinstance(path, ObjectPath) and _is_other_than_its_copy(path):
        return DamageError(
            f"The copy of {path} in the cache of this machine is damaged: {what}. It is removed; "
            "run the same command again: it is fetched anew, and nothing is computed."
        )
    aside = path.with_name(path.name + DAMAGED_SUFFIX)
    with contextlib.suppress(OSError):
        rename(path, aside.name)
    open_now = f"It is now {aside.name}" if aside.exists() else "Remove it"
    return DamageError(
        f"{path} is damaged: {what}. {open_now}; run the same command again: what was in it is "
        "made anew, and nothing else."
    )


def _is_other_than_its_copy(path: ObjectPath) -> bool:
    """Compare an object with the copy of it that was read, which is removed."""
    try:
        copy = near(path, fixed=path.suffix == PART_SUFFIX)
        seen = checksum_of_file(copy)
        forget_copies(path)
        return checksum_of_file(near(path)) != seen
    except OSError:
        return False


def checksum_of_file(path: Path) -> int:
    """Return the CRC-32 of a file."""
    return zlib.crc32(path.read_bytes())
