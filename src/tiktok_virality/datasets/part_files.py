"""Part files: the outcomes of one batch as an Arrow file that readers map into memory.

A tensor column is a list of its flat values beside a column of its shape; a list of byte strings
(JPEG files) is a list of binaries; a table or mapping is JSON text; a column kept as files (a WAV,
an mp4) holds file names. The kind of each column is in
the metadata of its field, so that a part explains itself.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from tiktok_virality.execution import Absent, Done, Failed, Outcome, StageItem
from tiktok_virality.schema import digest

if TYPE_CHECKING:
    import pyarrow as pa

PART_SUFFIX = ".arrow"
FAILED, FAULT = "failed", "fault"
"""What the clip decides, and what it does not: a fault of the machine is tried again."""
LEDGER_COLUMNS = ("video_id", "digest", "status", "reason", "detail")
SHAPE_SUFFIX = ":shape"
LONGEST_FILE_NAME_BYTES = 200


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


def write_bytes_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, then rename: all or nothing."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@dataclass(frozen=True, kw_only=True)
class FileColumn:
    """A column whose values are files of their own, for people and other tools to open.

    Attributes:
        suffix: ``".wav"`` takes float32 waveforms at 16 kHz; any other suffix takes bytes as is.
        folder: Where the files go.
    """

    suffix: str
    folder: Path

    def write(self, video_id: str, value: Any) -> str:
        """Store a value and return its file name."""
        name = safe_file_name(video_id) + self.suffix
        write_bytes_atomically(self.folder / name, self._encode(value))
        return name

    def read(self, name: str) -> Any:
        """Return the value behind a file name."""
        if self.suffix == ".wav":
            from tiktok_virality.media.waveform import read_wav

            return read_wav(self.folder / name)
        return (self.folder / name).read_bytes()

    def _encode(self, value: Any) -> bytes:
        if self.suffix == ".wav":
            from tiktok_virality.media.waveform import encode_wav

            return encode_wav(value)
        return bytes(value)


@dataclass(frozen=True, kw_only=True)
class PartWriter:
    """Writes the outcomes of a batch as one part file. Picklable: it works in the workers."""

    folder: Path
    file_columns: Mapping[str, FileColumn] = field(default_factory=dict)

    def __call__(self, items: Sequence[StageItem], outcomes: Sequence[Outcome]) -> None:
        """Write one part, whole or not at all."""
        import pyarrow as pa

        table = encode_outcomes(items, outcomes, self.file_columns)
        buffer = pa.BufferOutputStream()
        with pa.ipc.new_file(buffer, table.schema) as writer:
            writer.write_table(table)
        write_bytes_atomically(
            self.folder / f"part-{uuid.uuid4().hex}{PART_SUFFIX}", buffer.getvalue()
        )


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
            kept = file_columns[name]
            values = [
                None if value is None else kept.write(item.video_id, value)
                for item, value in zip(items, values, strict=True)
            ]
            columns[name] = (pa.array(values, pa.string()), {"kind": "file"})
        else:
            columns.update(_encode_column(name, values))
    fields = [pa.field(name, array.type, metadata=kind) for name, (array, kind) in columns.items()]
    return pa.Table.from_arrays([array for array, _ in columns.values()], schema=pa.schema(fields))


def _status(outcome: Outcome) -> str:
    if isinstance(outcome, Failed) and not outcome.is_verdict:
        return FAULT
    return {Done: "done", Absent: "absent", Failed: FAILED}[type(outcome)]


def _words(outcome: Outcome, name: str) -> str | None:
    """Return what an outcome says, without what is no character: file names may hold any bytes."""
    said = getattr(outcome, name, None)
    return None if said is None else str(said).encode("utf-8", "replace").decode()


def _encode_column(name: str, values: list[Any]) -> dict[str, tuple[pa.Array, dict[str, str]]]:
    import pyarrow as pa

    present = [value for value in values if value is not None]
    if present and isinstance(present[0], np.ndarray):
        shapes = [None if value is None else list(value.shape) for value in values]
        return {
            name: (_flat_lists(values), {"kind": "tensor"}),
            name + SHAPE_SUFFIX: (pa.array(shapes, pa.list_(pa.int32())), {}),
        }
    if present and isinstance(present[0], list) and isinstance(next(iter(present[0]), None), bytes):
        return {name: (pa.array(values, pa.large_list(pa.large_binary())), {"kind": "scalar"})}
    if present and isinstance(present[0], list | dict):
        texts = [None if value is None else json.dumps(value) for value in values]
        return {name: (pa.array(texts, pa.string()), {"kind": "json"})}
    return {name: (pa.array(values), {"kind": "scalar"})}


def _flat_lists(values: list[np.ndarray | None]) -> pa.LargeListArray:
    import pyarrow as pa

    sizes = [0 if value is None else value.size for value in values]
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    flat = np.concatenate([value.ravel() for value in values if value is not None])
    mask = pa.array([value is None for value in values])
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(flat), mask=mask)


@lru_cache(maxsize=64)
def open_part(path: Path) -> pa.Table:
    """Map a part file into memory: what is not asked for is not read."""
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def read_cell(path: Path, row: int, name: str, file_columns: Mapping[str, FileColumn]) -> Any:
    """Return one value of a part as it was given: array, scalar, list or file content.

    Arrays are views on the mapped file, read-only.

    Raises:
        KeyError: The part has no such column.
    """
    table = open_part(path)
    if name not in table.column_names:
        raise KeyError(f"No column {name!r}; there are {result_columns(table)}.")
    scalar = table.column(name)[row]
    kind = (table.schema.field(name).metadata or {}).get(b"kind", b"scalar")
    if not scalar.is_valid:
        return None
    if kind == b"tensor":
        shape = table.column(name + SHAPE_SUFFIX)[row].as_py()
        return scalar.values.to_numpy(zero_copy_only=False).reshape(shape)
    if kind == b"json":
        return json.loads(scalar.as_py())
    if kind == b"file":
        return file_columns[name].read(scalar.as_py())
    return scalar.as_py()


def result_columns(table: pa.Table) -> list[str]:
    """Return the names of a part's result columns."""
    return [
        name
        for name in table.column_names
        if name not in LEDGER_COLUMNS and not name.endswith(SHAPE_SUFFIX)
    ]
