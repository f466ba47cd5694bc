"""Part files: the outcomes of one batch as an Arrow file that readers map into memory.

A tensor column is a list of its flat values beside a column of its shape; a list of byte strings
(JPEG files) is a list of binaries; a table or mapping is JSON text; a column kept as files (a WAV,
an mp4) holds file names. The kind of each column is in
the metadata of its field, so that a part explains itself. `part_checks` says how damage is found.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import uuid
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

import numpy as np

from tiktok_virality.datasets.part_checks import (
    CHECK_SUFFIX,
    check_part,
    check_value,
    checksum_of,
    checksum_of_value,
    damage,
    part_name,
    parts_named,
)
from tiktok_virality.execution import Absent, BatchReport, Done, Failed, Outcome, StageItem
from tiktok_virality.schema import DamageError, digest
from tiktok_virality.storage import ObjectPath, Place, near, put_and_keep

if TYPE_CHECKING:
    import pyarrow as pa

DONE, ABSENT = "done", "absent"
FAILED, FAULT = "failed", "fault"
"""What the clip decides, and what it does not: a fault of the machine is tried again."""
LEDGER_COLUMNS = ("video_id", "digest", "status", "reason", "detail")
SHAPE_SUFFIX = ":shape"
BYTES_SUFFIX = ":bytes"
SUFFIXES = (SHAPE_SUFFIX, BYTES_SUFFIX, CHECK_SUFFIX)
"""Of the columns that say something of the one before them."""

LONGEST_FILE_NAME_BYTES = 200
NUMBERS = "biuf"
"""Kinds of arrays whose values have checksums of their own; others are in that of the part."""
UNFINISHED_SUFFIX = ".tmp"
SURELY_DEAD_SECONDS = 24 * 60 * 60


def safe_file_name(video_id: str) -> str:
    """Return a name for any id that stays inside its folder, reversible by percent-decoding.

    Ids that would be too long for a file system end in a digest of themselves instead.
    """
    name = quote(video_id, safe="")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > LONGEST_FILE_NAME_BYTES:
        name = f"{name[: LONGEST_FILE_NAME_BYTES - 65]}-{digest(video_id)}"
    return name


def write_bytes_atomically(path: Place, content: bytes, *, fixed: bool = False) -> None:
    """Write under a temporary name in the same folder, then rename: all or nothing.

    An object is put in one request, which is as much.

    Args:
        path: Of the file.
        content: All of it.
        fixed: It is never written again, as a part.
    """
    if isinstance(path, ObjectPath):
        if fixed:
            put_and_keep(path, content)
        else:
            path.write_bytes(content)
        return
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}{UNFINISHED_SUFFIX}")
    try:
        with _open_held(temporary) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _open_held(temporary: Path) -> BinaryIO:
    """Open a file that `sweep_unfinished` leaves alone for as long as it is open."""
    while True:
        file = temporary.open("wb")
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # it was swept before it was held


def sweep_unfinished(folder: Place) -> None:
    """Remove what killed writers left half-written, and nothing that is being written now.

    Writers hold their file until it has its name, and the kernel lets go of what a killed one
    held, on other machines too where the file system is shared. Where a file system knows no
    locks, what is older than a day counts as left. In a bucket nothing is ever half-written.
    """
    if isinstance(folder, ObjectPath):
        return
    for leftover in folder.glob(f".*{UNFINISHED_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError), leftover.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError:
                if time.time() - leftover.stat().st_mtime < SURELY_DEAD_SECONDS:
                    continue
            leftover.unlink(missing_ok=True)


@dataclass(frozen=True, kw_only=True)
class FileColumn:
    """A column whose values are files of their own, for people and other tools to open.

    Attributes:
        suffix: ``".wav"`` takes float32 waveforms at 16 kHz; any other suffix takes bytes as is.
        folder: Where the files go.
    """

    suffix: str
    folder: Place

    def write(self, video_id: str, value: Any) -> tuple[str, int, int]:
        """Store a value and return its file's name, size in bytes, and checksum."""
        name = safe_file_name(video_id) + self.suffix
        content = self._encode(value)
        write_bytes_atomically(self.folder / name, content)
        return name, len(content), zlib.crc32(content)

    def read(self, name: str, checksum: int | None) -> Any:
        """Return the value behind a file name.

        Raises:
            DamageError: It is not what was written.
        """
        content = near(self.folder / name).read_bytes()
        check_value(self.folder / name, content, checksum, "the file")
        if self.suffix == ".wav":
            from tiktok_virality.media.waveform import decode_wav

            return decode_wav(content, name)
        return content

    def _encode(self, value: Any) -> bytes:
        if self.suffix == ".wav":
            from tiktok_virality.media.waveform import encode_wav

            return encode_wav(value)
        return bytes(value)


@dataclass(frozen=True, kw_only=True)
class PartWriter:
    """Writes the outcomes of a batch as one part file. Picklable: it works in the workers.

    Attributes:
        folder: Of the parts.
        generation: Of the save; a later one outdoes an earlier one.
        file_columns: Columns kept as files of their own.
        name: Of this writer: others never name a part as it does.
    """

    folder: Place
    generation: int = 0
    file_columns: Mapping[str, FileColumn] = field(default_factory=dict)
    name: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __call__(self, items: Sequence[StageItem], outcomes: Sequence[Outcome]) -> None:
        """Write one part, whole or not at all."""
        table = encode_outcomes(items, outcomes, self.file_columns)
        write_part(self.folder, table, self.generation, self._mark_of(items))

    def recall(self, items: Sequence[StageItem]) -> BatchReport | None:
        """Return how a batch ended if this writer has written it, in whichever process."""
        part = next(parts_named(self.folder, self.generation, self._mark_of(items)), None)
        if part is None:
            return None
        statuses = Counter(open_part(part).column("status").to_pylist())
        return BatchReport(
            done=statuses[DONE],
            absent=statuses[ABSENT],
            failed=statuses[FAILED] + statuses[FAULT],
        )

    def _mark_of(self, items: Sequence[StageItem]) -> str:
        return digest([self.name, *([item.video_id, item.digest] for item in items)])[:32]


@dataclass(frozen=True, kw_only=True)
class CutsWriter:
    """Writes the outcomes of a batch as one part for each cut.

    Attributes:
        writers: By cut.
        columns: Of each cut; ``None`` is whatever there is.
    """

    writers: Mapping[str, PartWriter]
    columns: Mapping[str, tuple[str, ...] | None]

    def __call__(self, items: Sequence[StageItem], outcomes: Sequence[Outcome]) -> None:
        """Write the parts, each whole or not at all."""
        for name, writer in self.writers.items():
            writer(items, [_taken_from(outcome, self.columns[name]) for outcome in outcomes])

    def recall(self, items: Sequence[StageItem]) -> BatchReport | None:
        """Return how a batch ended if every part of it has been written."""
        reports = [writer.recall(items) for writer in self.writers.values()]
        return None if None in reports else reports[0]


def _taken_from(outcome: Outcome, columns: tuple[str, ...] | None) -> Outcome:
    if columns is None or not isinstance(outcome, Done):
        return outcome
    return replace(outcome, columns={name: outcome.columns[name] for name in columns})


def write_part(folder: Place, table: pa.Table, generation: int, mark: str | None = None) -> Place:
    """Write a table as a part, whole or not at all; return where it is.

    Args:
        folder: Of the parts.
        table: What is in it.
        generation: Of the save.
        mark: 32 hexadecimal digits to find it by; ``None`` for random ones.
    """
    import pyarrow as pa

    stream = pa.BufferOutputStream()
    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)
    content = stream.getvalue()
    checksum = checksum_of(content, pa.ipc.open_file(content).read_all())
    path = folder / part_name(generation, mark or uuid.uuid4().hex, checksum)
    write_bytes_atomically(path, content, fixed=True)
    return path


def encode_outcomes(
    items: Sequence[StageItem],
    outcomes: Sequence[Outcome],
    file_columns: Mapping[str, FileColumn],
) -> pa.Table:
    """Return the ledger columns and every result column of a batch."""
    import pyarrow as pa

    columns: dict[str, tuple[pa.Array, dict[str, str]]] = {
        "video_id": (pa.array([item.video_id for item in items], pa.string()), {}),
        "digest": (pa.array([item.digest for item in items], pa.string()), {}),
        "status": (pa.array([_status(outcome) for outcome in outcomes], pa.string()), {}),
        "reason": (pa.array([_words(o, "reason") for o in outcomes], pa.string()), {}),
        "detail": (pa.array([_words(o, "detail") for o in outcomes], pa.string()), {}),
    }
    names = dict.fromkeys(
        name for outcome in outcomes if isinstance(outcome, Done) for name in outcome.columns
    )
    for name in names:
        values = [o.columns.get(name) if isinstance(o, Done) else None for o in outcomes]
        if name in file_columns:
            columns.update(_write_files(name, file_columns[name], items, values))
        else:
            columns.update(_encode_column(name, values))
    fields = [pa.field(name, array.type, metadata=kind) for name, (array, kind) in columns.items()]
    return pa.Table.from_arrays([array for array, _ in columns.values()], schema=pa.schema(fields))


def _status(outcome: Outcome) -> str:
    if isinstance(outcome, Failed) and not outcome.is_verdict:
        return FAULT
    return {Done: DONE, Absent: ABSENT, Failed: FAILED}[type(outcome)]


def _write_files(
    name: str, column: FileColumn, items: Sequence[StageItem], values: Sequence[Any]
) -> dict[str, tuple[pa.Array, dict[str, str]]]:
    import pyarrow as pa

    written = [
        (None, None, None) if value is None else column.write(item.video_id, value)
        for item, value in zip(items, values, strict=True)
    ]
    names, sizes, checksums = zip(*written, strict=True)
    return {
        name: (pa.array(names, pa.string()), {"kind": "file"}),
        name + BYTES_SUFFIX: (pa.array(sizes, pa.int64()), {}),
        name + CHECK_SUFFIX: (pa.array(checksums, pa.uint32()), {}),
    }


def _words(outcome: Outcome, name: str) -> str | None:
    """Return what an outcome says, without what is no character: file names may hold any bytes."""
    said = getattr(outcome, name, None)
    return None if said is None else str(said).encode("utf-8", "replace").decode()


def _encode_column(name: str, values: list[Any]) -> dict[str, tuple[pa.Array, dict[str, str]]]:
    import pyarrow as pa

    present = [value for value in values if value is not None]
    if present and isinstance(present[0], np.ndarray):
        kind = np.result_type(*present)  # what all of them are stored as
        arrays = [None if value is None else np.asarray(value, kind) for value in values]
        shapes = [None if value is None else list(value.shape) for value in arrays]
        return {
            name: (_flat_lists(arrays), {"kind": "tensor"}),
            name + SHAPE_SUFFIX: (pa.array(shapes, pa.list_(pa.int32())), {}),
            **(_checks(name, arrays) if kind.kind in NUMBERS else {}),
        }
    if present and isinstance(present[0], list) and isinstance(next(iter(present[0]), None), bytes):
        stored = pa.array(values, pa.large_list(pa.large_binary()))
        return {name: (stored, {"kind": "scalar"}), **_checks(name, values)}
    if present and isinstance(present[0], list | dict):
        texts = [None if value is None else json.dumps(value) for value in values]
        return {name: (pa.array(texts, pa.string()), {"kind": "json"})}
    return {name: (pa.array(values), {"kind": "scalar"})}


def _checks(name: str, values: Sequence[Any]) -> dict[str, tuple[pa.Array, dict[str, str]]]:
    import pyarrow as pa

    checksums = pa.array([checksum_of_value(value) for value in values], pa.uint32())
    return {name + CHECK_SUFFIX: (checksums, {})}


def _flat_lists(values: list[np.ndarray | None]) -> pa.LargeListArray:
    import pyarrow as pa

    sizes = [0 if value is None else value.size for value in values]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    flat = np.concatenate([value.ravel() for value in values if value is not None])
    mask = pa.array([value is None for value in values])
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(flat), mask=mask)


@lru_cache(maxsize=64)
def open_part(path: Place) -> pa.Table:
    """Map a part file into memory: what is not asked for is not read.

    Of an object, a copy is mapped. A copy that is damaged is fetched anew.

    Raises:
        DamageError: It is not what was written; it is set aside.
    """
    try:
        return _map_part(path)
    except DamageError:
        if isinstance(path, Path) or not path.fresh.is_file():
            raise
    return _map_part(path)


def _map_part(path: Place) -> pa.Table:
    import pyarrow as pa

    try:
        with pa.memory_map(str(near(path, fixed=True))) as source:
            content = source.read_buffer()
            table = pa.ipc.open_file(content).read_all()
        check_part(path, content, table)
    except (pa.ArrowException, ValueError, OSError, DamageError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # a fault of the machine
        raise damage(path, str(error).rstrip(".")) from error
    return table


def read_cell(path: Place, row: int, name: str, file_columns: Mapping[str, FileColumn]) -> Any:
    """Return one value of a part as it was given: array, scalar, list or file content.

    Arrays are views on the mapped file, read-only.

    Raises:
        KeyError: The part has no such column.
        DamageError: The value is not what was written; its file is set aside.
    """
    table = open_part(path)
    if name not in table.column_names:
        raise KeyError(f"No column {name!r}; there are {result_columns(table)}.")
    scalar = table.column(name)[row]
    if not scalar.is_valid:
        return None
    kind = (table.schema.field(name).metadata or {}).get(b"kind", b"scalar")
    is_checked = name + CHECK_SUFFIX in table.column_names
    checksum = table.column(name + CHECK_SUFFIX)[row].as_py() if is_checked else None
    if kind == b"file":
        return file_columns[name].read(scalar.as_py(), checksum)
    if kind == b"json":
        return json.loads(scalar.as_py())
    if kind == b"tensor":
        shape = table.column(name + SHAPE_SUFFIX)[row].as_py()
        value = scalar.values.to_numpy(zero_copy_only=False).reshape(shape)
    else:
        value = scalar.as_py()
    check_value(path, value, checksum, f"{name!r} of row {row}")
    return value


def cell_shape(path: Place, row: int, name: str) -> tuple[int, ...]:
    """Return the shape of an array of a part, without reading its values."""
    return tuple(open_part(path).column(name + SHAPE_SUFFIX)[row].as_py())


def result_columns(table: pa.Table) -> list[str]:
    """Return the names of a part's result columns."""
    return [
        name
        for name in table.column_names
        if name not in LEDGER_COLUMNS and not name.endswith(SUFFIXES)
    ]
