"""What a stage was asked to do, and how far it has come: the index of the plan and the ledger."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.datasets.part_checks import PART_SUFFIX, damage, generation_of
from tiktok_virality.datasets.part_files import (
    BYTES_SUFFIX,
    DONE,
    LEDGER_COLUMNS,
    FileColumn,
    open_part,
    write_bytes_atomically,
)
from tiktok_virality.datasets.stage_table import LedgerEntry
from tiktok_virality.execution import WHOLE, Shard, StagePlan
from tiktok_virality.schema import DamageError, StageError
from tiktok_virality.storage import ObjectPath, Place, bring_near

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

INDEX_NAME = "index.parquet"
INDEXES = "index*.parquet"
"""The index of the whole plan, and those of shards."""
INDEX_COLUMNS = ("video_id", "digest", "absent")
CUTS = "cuts"
"""Where an index notes what is kept apart."""


@dataclass(frozen=True, kw_only=True)
class CutVersion:
    """Which version of a cut is asked for.

    Attributes:
        fingerprint: Digest of what decides it.
        columns: Their names; ``None`` is whatever there is.
        earlier: The fingerprint before this one, whose results stay; ``None`` where there is none.
    """

    fingerprint: str
    columns: tuple[str, ...] | None = None
    earlier: str | None = None


@dataclass(frozen=True, kw_only=True)
class PlanIndex:
    """The latest plan of a stage, without its payloads.

    Attributes:
        cuts: What is kept apart, by name.
        items: What is to be processed, in order: content digests by video id. A result is filed
            under both.
        absent: Ids known beforehand to have nothing to process, with the reason.
    """

    cuts: Mapping[str, CutVersion]
    items: Mapping[str, str]
    absent: Mapping[str, str]

    @classmethod
    def of(cls, plan: StagePlan, before: Mapping[str, CutVersion] | None = None) -> PlanIndex:
        """Return the index of a plan.

        Args:
            plan: What is asked for now.
            before: What was asked for before, by cut.

        Raises:
            StageError: A video id is planned twice.
        """
        items: dict[str, str] = {}
        for item in plan.items:
            if item.video_id in items or item.video_id in plan.absent:
                raise StageError(
                    f"{item.video_id!r} is planned twice; every video id must be unique."
                )
            items[item.video_id] = item.digest
        columns = {name: cut.columns for name, cut in plan.cuts.items()}
        cuts = {
            name: CutVersion(
                fingerprint=fingerprint,
                columns=columns[name],
                earlier=_earlier((before or {}).get(name), fingerprint),
            )
            for name, fingerprint in plan.fingerprints.items()
        }
        return cls(cuts=cuts, items=items, absent=dict(plan.absent))

    @classmethod
    def read(cls, path: Place) -> PlanIndex | None:
        """Return the index in a file, or ``None`` where there is none.

        Raises:
            DamageError: It is not what was written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not path.is_file():
            return None
        try:
            table = pq.read_table(_readable(path), page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise damage(path, str(error)) from error
        # a dict per row would take four times the memory
        ids, digests, absences = (table.column(name).to_pylist() for name in INDEX_COLUMNS)
        planned = zip(ids, digests, absences, strict=True)
        return cls(
            cuts=_cuts_in(table.schema),
            items={key: item for key, item, absent in planned if absent is None},
            absent={k: why for k, why in zip(ids, absences, strict=True) if why is not None},
        )

    def without(self, names: Forgotten) -> PlanIndex:
        """Return the plan without some videos."""
        return replace(
            self,
            items={key: item for key, item in self.items.items() if key not in names},
            absent={k: names.redact(why) for k, why in self.absent.items() if k not in names},
        )

    def of_shard(self, shard: Shard) -> PlanIndex:
        """Return the plan for the videos of a shard alone."""
        return replace(
            self,
            items={key: item for key, item in self.items.items() if key in shard},
            absent={key: why for key, why in self.absent.items() if key in shard},
        )

    def write(self, path: Place) -> None:
        """Note the plan in a file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        lacking = len(self.absent)
        values = (
            [*self.items, *self.absent],
            [*self.items.values(), *[""] * lacking],
            [*[None] * len(self.items), *self.absent.values()],
        )
        columns = [pa.array(each, pa.string()) for each in values]
        schema = pa.schema([(name, pa.string()) for name in INDEX_COLUMNS])
        noted = {CUTS: json.dumps({name: asdict(cut) for name, cut in self.cuts.items()})}
        table = pa.Table.from_arrays(columns, schema=schema.with_metadata(noted))
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, write_page_checksum=True)
        write_bytes_atomically(path, buffer.getvalue())


def index_path(folder: Place, shard: Shard | None = None) -> Place:
    """Return where the index of the whole plan is, or of a shard of it."""
    if shard is None:
        return folder / INDEX_NAME
    return folder / f"index-{shard.number}-of-{shard.of}.parquet"


def versions_noted_in(path: Place) -> dict[str, CutVersion]:
    """Return what was asked for last, by cut, as an index has noted it; nothing without an index.

    Raises:
        DamageError: The index is not what was written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        return {}
    try:
        return _cuts_in(pq.read_schema(_readable(path)))
    except (pa.ArrowException, OSError) as error:
        raise damage(path, str(error)) from error


def _cuts_in(schema: pa.Schema) -> dict[str, CutVersion]:
    noted = schema.metadata
    if CUTS.encode() not in noted:  # of a version in which stages had no cuts
        earlier = noted.get(b"earlier", b"").decode() or None
        return {WHOLE: CutVersion(fingerprint=noted[b"fingerprint"].decode(), earlier=earlier)}
    return {
        name: CutVersion(
            fingerprint=said["fingerprint"],
            columns=None if said["columns"] is None else tuple(said["columns"]),
            earlier=said["earlier"],
        )
        for name, said in json.loads(noted[CUTS.encode()]).items()
    }


def _earlier(before: CutVersion | None, fingerprint: str) -> str | None:
    if before is None:
        return None
    return before.earlier if before.fingerprint == fingerprint else before.fingerprint


def read_ledger(
    folder: Place, file_columns: Mapping[str, FileColumn], planned: Mapping[str, str]
) -> dict[str, LedgerEntry]:
    """Read how planned items ended; a later part outdoes an earlier one.

    A row whose file is gone or of another size counts as missing, and so does all that was in a
    part that is damaged. Of millions of rows, nothing is kept but what is planned.

    Args:
        folder: Of the parts.
        file_columns: Columns kept as files of their own.
        planned: Content digests by video id.

    Returns:
        Entries by video id, in the order of the plan; none for what is missing.
    """
    present = {name: _file_sizes(column.folder) for name, column in file_columns.items()}
    ledger: dict[str, LedgerEntry | None] = dict.fromkeys(planned)
    parts = parts_in(folder)
    bring_near(parts)
    for part in parts:
        try:
            table = open_part(part)
        except DamageError as error:
            logger.warning("%s", error)
            continue
        lost = _rows_without_files(table, present)
        columns = (table.column(name).to_pylist() for name in LEDGER_COLUMNS)
        for number, row in enumerate(zip(*columns, strict=True)):
            video_id, item, status, reason, detail = row
            if planned.get(video_id) == item and not (status == DONE and number in lost):
                ledger[video_id] = LedgerEntry(
                    status=sys.intern(status), reason=reason, detail=detail, part=part, row=number
                )
    return {video_id: entry for video_id, entry in ledger.items() if entry is not None}


def _readable(path: Place) -> Any:
    """Return what a reader of Parquet takes for a file that may change: never a copy of it."""
    import pyarrow as pa

    return path if isinstance(path, Path) else pa.BufferReader(path.read_bytes())


def parts_in(folder: Place) -> list[Place]:
    """Return the parts of a folder in the order in which they were written.

    Those of one save hold different items, unless they are of a version that told saves apart by
    the clock alone.
    """
    parts = folder.glob(f"*{PART_SUFFIX}")
    return sorted(parts, key=lambda path: (generation_of(path), path.stat().st_mtime_ns))


def newest_generation(folder: Place) -> int:
    """Return in which save the latest part was written; 0 where there is none."""
    return max((generation_of(path) for path in folder.glob(f"*{PART_SUFFIX}")), default=0)


def _rows_without_files(table: pa.Table, present: Mapping[str, Mapping[str, int]]) -> set[int]:
    """Return the rows whose files are not there, or not as large as they were written."""
    lost: set[int] = set()
    for name in (name for name in present if name in table.column_names):
        files, sizes = table.column(name).to_pylist(), present[name]
        noted = [None] * len(files)
        if name + BYTES_SUFFIX in table.column_names:
            noted = table.column(name + BYTES_SUFFIX).to_pylist()
        for number, (file, size) in enumerate(zip(files, noted, strict=True)):
            if file not in sizes or size not in (None, sizes[file]):
                lost.add(number)
    return lost


def _file_sizes(folder: Place) -> dict[str, int]:
    if isinstance(folder, ObjectPath):
        return {each.name: each.stat().st_size for each in folder.iterdir() if not each.lists}
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
