"""What a stage was asked to do, and how far it has come: the index of the plan and the ledger."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.datasets.part_checks import PART_SUFFIX, damage, generation_of
from tiktok_virality.datasets.part_files import (
    BYTES_SUFFIX,
    LEDGER_COLUMNS,
    FileColumn,
    open_part,
    write_bytes_atomically,
)
from tiktok_virality.datasets.stage_table import LedgerEntry
from tiktok_virality.execution import Shard, StagePlan
from tiktok_virality.schema import DamageError, StageError

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

INDEX_NAME = "index.parquet"
INDEXES = "index*.parquet"
"""The index of the whole plan, and those of shards."""
INDEX_COLUMNS = ("video_id", "digest", "absent")

ItemKey = tuple[str, str]
"""Video id and content digest: what a result is filed under."""


@dataclass(frozen=True, kw_only=True)
class PlanIndex:
    """The latest plan of a stage, without its payloads.

    Attributes:
        fingerprint: Digest of what decides the results.
        items: What is to be processed, in order.
        absent: Ids known beforehand to have nothing to process, with the reason.
        earlier: The fingerprint before this one, whose results stay; ``None`` where there is none.
    """

    fingerprint: str
    items: tuple[ItemKey, ...]
    absent: Mapping[str, str]
    earlier: str | None = None

    @classmethod
    def of(cls, plan: StagePlan, before: PlanIndex | None) -> PlanIndex:
        """Return the index of a plan.

        Args:
            plan: What is asked for now.
            before: What was asked for last, if anything was.

        Raises:
            StageError: A video id is planned twice.
        """
        seen: set[str] = set()
        for video_id in (*(item.video_id for item in plan.items), *plan.absent):
            if video_id in seen:
                raise StageError(f"{video_id!r} is planned twice; every video id must be unique.")
            seen.add(video_id)
        return cls(
            fingerprint=plan.fingerprint,
            items=tuple((item.video_id, item.digest) for item in plan.items),
            absent=dict(plan.absent),
            earlier=None if before is None else before.version_before(plan.fingerprint),
        )

    def version_before(self, fingerprint: str) -> str | None:
        """Return what comes before a fingerprint if this plan was the last one."""
        return self.earlier if self.fingerprint == fingerprint else self.fingerprint

    @classmethod
    def read(cls, path: Path) -> PlanIndex | None:
        """Return the index in a file, or ``None`` where there is none.

        Raises:
            DamageError: It is not what was written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not path.exists():
            return None
        try:
            table = pq.read_table(path, page_checksum_verification=True)
        except (pa.ArrowException, OSError) as error:
            raise damage(path, str(error)) from error
        # a dict per row would take four times the memory
        rows = list(zip(*(table.column(name).to_pylist() for name in INDEX_COLUMNS), strict=True))
        noted = table.schema.metadata
        return cls(
            fingerprint=noted[b"fingerprint"].decode(),
            items=tuple((key, item) for key, item, absent in rows if absent is None),
            absent={key: absent for key, _, absent in rows if absent is not None},
            earlier=noted.get(b"earlier", b"").decode() or None,
        )

    def without(self, names: Forgotten) -> PlanIndex:
        """Return the plan without some videos."""
        return replace(
            self,
            items=tuple(item for item in self.items if item[0] not in names),
            absent={k: names.redact(why) for k, why in self.absent.items() if k not in names},
        )

    def of_shard(self, shard: Shard) -> PlanIndex:
        """Return the plan for the videos of a shard alone."""
        return replace(
            self,
            items=tuple(item for item in self.items if item[0] in shard),
            absent={key: why for key, why in self.absent.items() if key in shard},
        )

    def write(self, path: Path) -> None:
        """Note the plan in a file."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows: list[tuple[str, str, str | None]] = [
            *((video_id, item_digest, None) for video_id, item_digest in self.items),
            *((video_id, "", reason) for video_id, reason in self.absent.items()),
        ]
        columns = [
            pa.array([row[i] for row in rows], pa.string()) for i in range(len(INDEX_COLUMNS))
        ]
        schema = pa.schema([(name, pa.string()) for name in INDEX_COLUMNS])
        noted = {"fingerprint": self.fingerprint, "earlier": self.earlier or ""}
        table = pa.Table.from_arrays(columns, schema=schema.with_metadata(noted))
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, write_page_checksum=True)
        write_bytes_atomically(path, buffer.getvalue())


def index_path(folder: Path, shard: Shard | None = None) -> Path:
    """Return where the index of the whole plan is, or of a shard of it."""
    if shard is None:
        return folder / INDEX_NAME
    return folder / f"index-{shard.number}-of-{shard.of}.parquet"


def read_ledger(folder: Path, file_columns: Mapping[str, FileColumn]) -> dict[ItemKey, LedgerEntry]:
    """Read how every item of every part ended; a later part outdoes an earlier one.

    A row whose file is gone or of another size counts as missing, and so does all that was in a
    part that is damaged.
    """
    present = {name: _file_sizes(column.folder) for name, column in file_columns.items()}
    ledger: dict[ItemKey, LedgerEntry] = {}
    for part in parts_in(folder):
        try:
            table = open_part(part)
        except DamageError as error:
            logger.warning("%s", error)
            continue
        for number, row in enumerate(_rows_of(table, file_columns)):
            if row["status"] == "done" and not _has_files(row, present):
                continue
            ledger[row["video_id"], row["digest"]] = LedgerEntry(
                status=sys.intern(row["status"]),
                reason=row["reason"],
                detail=row["detail"],
                part=part,
                row=number,
            )
    return ledger


def parts_in(folder: Path) -> list[Path]:
    """Return the parts of a folder in the order in which they were written.

    Those of one save hold different items, unless they are of a version that told saves apart by
    the clock alone.
    """
    parts = folder.glob(f"*{PART_SUFFIX}")
    return sorted(parts, key=lambda path: (generation_of(path), path.stat().st_mtime_ns))


def newest_generation(folder: Path) -> int:
    """Return in which save the latest part was written; 0 where there is none."""
    return max((generation_of(path) for path in folder.glob(f"*{PART_SUFFIX}")), default=0)


def _rows_of(table: pa.Table, file_columns: Mapping[str, FileColumn]) -> list[dict[str, Any]]:
    names = [
        name
        for column in file_columns
        for name in (column, column + BYTES_SUFFIX)
        if name in table.column_names
    ]
    return table.select([*LEDGER_COLUMNS, *names]).to_pylist()


def _has_files(row: Mapping[str, Any], present: Mapping[str, Mapping[str, int]]) -> bool:
    """Tell whether the files of a row are there, as large as they were written."""
    return all(
        row[name] in sizes and row.get(name + BYTES_SUFFIX) in (None, sizes[row[name]])
        for name, sizes in present.items()
        if name in row
    )


def _file_sizes(folder: Path) -> dict[str, int]:
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
