"""What a stage was asked to do, and how far it has come: the index of the plan and the ledger."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.datasets.part_files import (
    LEDGER_COLUMNS,
    PART_SUFFIX,
    FileColumn,
    open_part,
    write_bytes_atomically,
)
from tiktok_virality.datasets.stage_table import LedgerEntry
from tiktok_virality.execution import Shard, StagePlan
from tiktok_virality.schema import StageError

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
    """

    fingerprint: str
    items: tuple[ItemKey, ...]
    absent: Mapping[str, str]

    @classmethod
    def of(cls, plan: StagePlan) -> PlanIndex:
        """Return the index of a plan.

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
        )

    @classmethod
    def read(cls, path: Path) -> PlanIndex | None:
        """Return the index in a file, or ``None`` where there is none."""
        import pyarrow.parquet as pq

        if not path.exists():
            return None
        table = pq.read_table(path)
        # a dict per row would take four times the memory
        rows = list(zip(*(table.column(name).to_pylist() for name in INDEX_COLUMNS), strict=True))
        return cls(
            fingerprint=table.schema.metadata[b"fingerprint"].decode(),
            items=tuple((key, item) for key, item, absent in rows if absent is None),
            absent={key: absent for key, _, absent in rows if absent is not None},
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
        schema = schema.with_metadata({"fingerprint": self.fingerprint})
        buffer = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), buffer)
        write_bytes_atomically(path, buffer.getvalue())


def index_path(folder: Path, shard: Shard | None = None) -> Path:
    """Return where the index of the whole plan is, or of a shard of it."""
    if shard is None:
        return folder / INDEX_NAME
    return folder / f"index-{shard.number}-of-{shard.of}.parquet"


def read_ledger(folder: Path, file_columns: Mapping[str, FileColumn]) -> dict[ItemKey, LedgerEntry]:
    """Read how every item of every part ended; a later part outdoes an earlier one.

    A row whose file is gone counts as missing.
    """
    present = {name: _file_names(column.folder) for name, column in file_columns.items()}
    ledger: dict[ItemKey, LedgerEntry] = {}
    for part in sorted(folder.glob(f"*{PART_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns):
        table = open_part(part)
        kept = [name for name in file_columns if name in table.column_names]
        rows = table.select([*LEDGER_COLUMNS, *kept]).to_pylist()
        for number, row in enumerate(rows):
            if row["status"] == "done" and any(row[name] not in present[name] for name in kept):
                continue
            ledger[row["video_id"], row["digest"]] = LedgerEntry(
                status=sys.intern(row["status"]),
                reason=row["reason"],
                detail=row["detail"],
                part=part,
                row=number,
            )
    return ledger


def _file_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
