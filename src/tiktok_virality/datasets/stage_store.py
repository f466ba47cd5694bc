"""The stage store: saving a plan runs what is missing, loading gives the rows."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset, DatasetError

from tiktok_virality.datasets.part_files import (
    PART_SUFFIX,
    FileColumn,
    PartWriter,
    open_part,
    write_bytes_atomically,
)
from tiktok_virality.datasets.stage_table import LedgerEntry, StageTable
from tiktok_virality.execution import BatchReport, LocalEngine, StageItem, StagePlan, StageWork
from tiktok_virality.execution.local import Engine
from tiktok_virality.execution.progress import with_progress
from tiktok_virality.schema import StageError

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

INDEX_NAME = "index.parquet"
VERSIONS_KEPT = 2


@dataclass(frozen=True, kw_only=True)
class StageReport:
    """What one save did, for logs and tracking.

    Attributes:
        done: Items computed now.
        absent: Items found now to have nothing to compute.
        failed: Items that failed now.
        skipped: Items that earlier runs had accounted for.
        seconds: Wall time of the computing.
    """

    done: int
    absent: int
    failed: int
    skipped: int
    seconds: float

    @property
    def items_per_second(self) -> float:
        """Rate over the items computed now; 0 when there were none."""
        computed = self.done + self.absent + self.failed
        return computed / self.seconds if computed else 0.0

    def metrics(self) -> dict[str, float]:
        """Return the numbers under their names."""
        return {**asdict(self), "items_per_second": self.items_per_second}


class StageStore(AbstractDataset[StagePlan, StageTable]):
    """Rows of a per-video stage, as part files under the fingerprint of the plan.

    Saving a plan computes what no earlier run has accounted for, each finished batch becoming one
    part file at once. An interrupted save therefore loses at most the batches under way, and the
    next one does the rest. A changed fingerprint starts a folder of its own; the latest two stay,
    so that going back to earlier settings costs nothing.

    Args:
        filepath: Folder of this stage.
        engine: How batches reach workers: ``{"type": "local", "workers": null}``.
        file_columns: Columns kept as files of their own: name to ``{"suffix", "path"}``, where
            ``path`` is the folder, by default the one of the part files.
        max_failure_share: A save raises once more than this share of all items has failed.
        retry_failed: Whether items that failed before are tried again.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        engine: Mapping[str, Any] | None = None,
        file_columns: Mapping[str, Mapping[str, str]] | None = None,
        max_failure_share: float = 0.5,
        retry_failed: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._folder = Path(filepath)
        self._engine = make_engine(engine or {"type": "local"})
        self._file_columns = {name: dict(how) for name, how in (file_columns or {}).items()}
        self._max_failure_share = max_failure_share
        self._retry_failed = retry_failed
        self.metadata = metadata
        self.last_report: StageReport | None = None

    def save(self, plan: StagePlan) -> None:
        """Compute and store what is missing of a plan.

        Raises:
            StageError: The disk is full, or more than ``max_failure_share`` of the items failed.
        """
        folder = self._folder / plan.fingerprint[:16]
        self._prepare(folder, plan)
        known = self._ledger(folder)
        missing = [item for item in plan.items if not self._is_accounted_for(item, known)]
        started = time.monotonic()
        report = self._run(plan, missing, folder)
        self.last_report = StageReport(
            **asdict(report),
            skipped=len(plan.items) - len(missing),
            seconds=time.monotonic() - started,
        )
        self._log()
        self._check_failures(plan, folder)
        self._remove_old_versions(folder)

    def load(self) -> StageTable:
        """Return the rows of the latest plan.

        Raises:
            DatasetError: Nothing was saved yet, or the latest save was interrupted.
        """
        if not (self._folder / INDEX_NAME).exists():
            raise DatasetError(
                f"{self._folder} is empty: this stage has not run yet. Run the pipeline that "
                "makes it first, or the whole project with `kedro run`."
            )
        fingerprint, index = self._read_index()
        folder = self._folder / fingerprint[:16]
        known = self._ledger(folder)
        planned = {
            (row.video_id, row.digest): known.get((row.video_id, row.digest))
            for row in index.itertuples()
            if row.absent is None
        }
        unaccounted = [video_id for (video_id, _), entry in planned.items() if entry is None]
        if unaccounted:
            raise DatasetError(
                f"{self._folder} was interrupted: {len(unaccounted)} of {len(planned)} items are "
                f"missing, {unaccounted[0]!r} among them. Run the same command again: it does "
                "only what is missing."
            )
        entries = {video_id: entry for (video_id, _), entry in planned.items() if entry is not None}
        absent = {row.video_id: row.absent for row in index.itertuples() if row.absent is not None}
        absent |= {key: str(e.reason) for key, e in entries.items() if e.status == "absent"}
        return StageTable(
            fingerprint=fingerprint,
            digests={row.video_id: row.digest for row in index.itertuples()},
            entries=entries,
            absent=absent,
            file_columns=self._columns_in(folder),
        )

    def preview(self, rows: int = 5) -> Any:
        """Return the first rows' scalar columns and tensor shapes, for Kedro-Viz."""
        from kedro_datasets._typing import TablePreview

        table = self.load()
        records = [
            [key, *(_describe_value(value) for value in row.values())]
            for key, row in table.rows(table.ids[:rows])
        ]
        return TablePreview(
            {
                "index": list(range(len(records))),
                "columns": ["video_id", *table.columns],
                "data": records,
            }
        )

    def _exists(self) -> bool:
        """Tell whether every planned item is accounted for: half a stage does not exist."""
        try:
            self.load()
        except DatasetError:
            return False
        return True

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "engine": repr(self._engine)}

    def _prepare(self, folder: Path, plan: StagePlan) -> None:
        """Make the folders, sweep what a killed run left half-written, and note the plan."""
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        for place in {folder, *(c.folder for c in self._columns_in(folder).values())}:
            place.mkdir(parents=True, exist_ok=True)
            for leftover in place.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)
        rows: list[tuple[str, str, str | None]] = [(i.video_id, i.digest, None) for i in plan.items]
        rows += [(video_id, "", reason) for video_id, reason in plan.absent.items()]
        frame = pd.DataFrame(rows, columns=["video_id", "digest", "absent"], dtype="object")
        _check_unique(frame)
        schema = pa.schema([(name, pa.string()) for name in frame.columns])
        table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
        buffer = pa.BufferOutputStream()
        pq.write_table(table.replace_schema_metadata({"fingerprint": plan.fingerprint}), buffer)
        write_bytes_atomically(self._folder / INDEX_NAME, buffer.getvalue())

    def _read_index(self) -> tuple[str, pd.DataFrame]:
        import pyarrow.parquet as pq

        table = pq.read_table(self._folder / INDEX_NAME)
        frame = table.to_pandas().astype("object")
        frame = frame.where(frame.notna(), None)
        return table.schema.metadata[b"fingerprint"].decode(), frame

    def _ledger(self, folder: Path) -> dict[tuple[str, str], LedgerEntry]:
        """Read how every item of every part ended; a row whose file is gone counts as missing."""
        columns = self._columns_in(folder)
        present = {name: _file_names(column.folder) for name, column in columns.items()}
        ledger = {}
        for part in sorted(folder.glob(f"*{PART_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns):
            table = open_part(part)
            kept = {name: table.column(name).to_pylist() for name in columns if name in table.column_names}
            ledger_columns = table.select(["video_id", "digest", "status", "reason", "detail"])
            for row, (key, item_digest, status, reason, detail) in enumerate(
                zip(*ledger_columns.to_pydict().values(), strict=True)
            ):
                if status == "done" and any(v[row] not in present[n] for n, v in kept.items()):
                    continue
                ledger[key, item_digest] = LedgerEntry(
                    status=status, reason=reason, detail=detail, part=part, row=row
                )
        return ledger

    def _is_accounted_for(
        self, item: StageItem, ledger: Mapping[tuple[str, str], LedgerEntry]
    ) -> bool:
        entry = ledger.get((item.video_id, item.digest))
        return entry is not None and not (self._retry_failed and entry.status == "failed")

    def _run(self, plan: StagePlan, missing: Sequence[StageItem], folder: Path) -> BatchReport:
        if not missing:
            return BatchReport()
        work = StageWork(
            transform=plan.transform,
            write=PartWriter(folder=folder, file_columns=self._columns_in(folder)),
        )
        batches = _batches(missing, plan.batch_size)
        reports = self._engine.run(batches, work, plan.resources)
        total = BatchReport()
        try:
            for report in with_progress(reports, len(missing), self._folder.name):
                total += report
        except KeyboardInterrupt:
            logger.warning(
                "%s interrupted. What was finished is kept; run the same command to go on.",
                self._folder.name,
            )
            raise
        return total

    def _log(self) -> None:
        report = self.last_report
        assert report is not None
        logger.info(
            "%s: %d computed, %d absent, %d failed, %d already there; %.1f s, %.1f items/s",
            self._folder.name,
            report.done,
            report.absent,
            report.failed,
            report.skipped,
            report.seconds,
            report.items_per_second,
        )

    def _check_failures(self, plan: StagePlan, folder: Path) -> None:
        ledger = self._ledger(folder)
        failed = {
            item.video_id: entry
            for item in plan.items
            if (entry := ledger.get((item.video_id, item.digest))) and entry.status == "failed"
        }
        if not plan.items or len(failed) / len(plan.items) <= self._max_failure_share:
            return
        examples = "\n".join(f"  {k}: {e.reason}: {e.detail}" for k, e in islice(failed.items(), 5))
        raise StageError(
            f"{len(failed)} of {len(plan.items)} items failed in {self._folder}, more than "
            f"max_failure_share={self._max_failure_share}. The first:\n{examples}"
        )

    def _remove_old_versions(self, current: Path) -> None:
        current.touch()
        versions = sorted(
            (path for path in self._folder.iterdir() if path.is_dir()),
            key=lambda path: path.stat().st_mtime_ns,
            reverse=True,
        )
        for old in versions[VERSIONS_KEPT:]:
            logger.info("Removing %s, made with earlier settings", old)
            shutil.rmtree(old)

    def _columns_in(self, folder: Path) -> dict[str, FileColumn]:
        return {
            name: FileColumn(suffix=how["suffix"], folder=Path(how.get("path", folder)))
            for name, how in self._file_columns.items()
        }


def make_engine(engine: Mapping[str, Any]) -> Engine:
    """Build the engine that a catalog entry names.

    Raises:
        DatasetError: There is no engine of that type.
    """
    options = dict(engine)
    kind = options.pop("type", "local")
    if kind == "local":
        return LocalEngine(**options)
    raise DatasetError(f"No engine {kind!r}; there is 'local'. Set `engine.type` in globals.yml.")


def _batches(items: Sequence[StageItem], size: int) -> Iterator[Sequence[StageItem]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _check_unique(frame: pd.DataFrame) -> None:
    twice = frame.loc[frame["video_id"].duplicated(), "video_id"]
    if len(twice):
        raise StageError(f"{twice.iloc[0]!r} is planned twice; every video id must be unique.")


def _file_names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


def _describe_value(value: Any) -> Any:
    shape = getattr(value, "shape", None)
    return value if shape is None else f"{value.dtype} {list(shape)}"
