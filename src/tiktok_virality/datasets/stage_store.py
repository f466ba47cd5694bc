"""The stage store: saving a plan runs what is missing, loading gives the rows."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.datasets.part_checks import DAMAGED_SUFFIX, generation_of
from tiktok_virality.datasets.part_files import (
    ABSENT,
    FAILED,
    FAULT,
    CutsWriter,
    FileColumn,
    PartWriter,
    sweep_unfinished,
    write_bytes_atomically,
)
from tiktok_virality.datasets.part_forgetting import forget_in_part
from tiktok_virality.datasets.stage_ledger import (
    INDEXES,
    CutVersion,
    PlanIndex,
    index_path,
    newest_generation,
    parts_in,
    read_ledger,
    versions_noted_in,
)
from tiktok_virality.datasets.stage_table import LedgerEntry, StageTable, StoredCut
from tiktok_virality.execution import (
    BatchReport,
    LocalEngine,
    RayEngine,
    Shard,
    StageItem,
    StagePlan,
    StageWork,
)
from tiktok_virality.execution.local import Engine
from tiktok_virality.execution.progress import with_progress
from tiktok_virality.execution.resident import ResidentEngine
from tiktok_virality.schema import DamageError, StageError
from tiktok_virality.storage import Place, listed, place_at, remove_folder

logger = logging.getLogger(__name__)

RETRY_NAME = "retry"
"""A file in the folder of a version: up to which save what has failed is tried again."""


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
    so that going back to earlier settings costs nothing. Where a transform takes several cuts from
    one reading, each has fingerprints and folders of its own: an item is read once for all that it
    lacks, and for nothing else.

    A store that is given a shard does and shows the videos of that shard alone. It touches nothing
    but parts and an index of its own, so that others may do other shards at the same time; what
    concerns all, as old versions, is left to a save without a shard.

    Args:
        filepath: Folder of this stage.
        engine: How batches reach workers: ``{"type": "local", "workers": null}``.
        file_columns: Columns kept as files of their own: name to ``{"suffix", "path"}``, where
            ``path`` is the folder, by default the one of the part files.
        max_failure_share: A save raises once more than this share of all items has failed.
        credentials: Of a folder in a bucket; see `storage`.
        metadata: For Kedro plugins.
    """

    def __init__(
        self,
        *,
        filepath: str,
        engine: Mapping[str, Any] | None = None,
        file_columns: Mapping[str, Mapping[str, str]] | None = None,
        max_failure_share: float = 0.5,
        credentials: Mapping[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._folder = place_at(filepath, credentials)
        self._credentials = credentials
        self._engine = make_engine(engine or {"type": "local"})
        self._file_columns = {name: dict(how) for name, how in (file_columns or {}).items()}
        self._max_failure_share = max_failure_share
        self.metadata = metadata
        self.last_report: StageReport | None = None
        self._shard: Shard | None = None

    def take_shard(self, shard: Shard) -> None:
        """Do and show the videos of a shard alone from now on."""
        self._shard = shard

    def save(self, plan: StagePlan) -> None:
        """Compute and store what is missing of a plan.

        Raises:
            StageError: The disk is full, or more than ``max_failure_share`` of the items failed.
        """
        if self._shard is not None:
            plan = plan.of_shard(self._shard)
        before = self._versions_before()
        index = PlanIndex.of(plan, before)
        for folder in self._folders(index):
            self._prepare(folder)
        index.write(index_path(self._folder, self._shard))
        cuts = self._stored(index)
        missing = self._missing(plan, cuts)
        started = time.monotonic()
        report = self._run(plan, missing, cuts)
        tried = {item.video_id for items in missing.values() for item in items}
        self.last_report = StageReport(
            **asdict(report),
            skipped=len(plan.items) - len(tried),
            seconds=time.monotonic() - started,
        )
        if missing:
            cuts.clear()  # of millions of items, never two ledgers of a cut at once
            cuts = self._stored(index)
        failed = {
            key: entry
            for cut in reversed(cuts.values())
            for key, entry in cut.entries.items()
            if entry.has_failed
        }
        self._log(Counter(str(e.reason) for k, e in failed.items() if k not in tried))
        self._check_failures(plan, failed)
        if self._shard is None:
            self._remove_old_versions(index, before)

    def load(self) -> StageTable:
        """Return the rows of the latest plan.

        Raises:
            DatasetError: Nothing was saved yet, or the latest save was interrupted.
        """
        index = self._index()
        if index is None:
            raise DatasetError(
                f"{self._folder} is empty: this stage has not run yet, or in shards alone. Run the "
                "pipeline that makes it first, or the whole project with `kedro run`."
            )
        table = StageTable(
            cuts=list(self._stored(index).values()), digests=index.items, absent=index.absent
        )
        missing = [key for key in index.items if any(key not in cut.entries for cut in table.cuts)]
        if missing:
            raise DatasetError(
                f"{self._folder} was interrupted: {len(missing)} of {len(index.items)} items are "
                f"missing, {missing[0]!r} among them. Run the same command again: it does only "
                "what is missing."
            )
        found = {k: str(e.reason) for k, e in table.entries.items() if e.status == ABSENT}
        return replace(table, absent={**index.absent, **found})

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows' scalar columns and tensor shapes, for Kedro-Viz."""
        table = self.load()
        records = [
            [key, *(_describe_value(value) for value in row.values())]
            for key, row in table.rows(table.ids[:nrows])
        ]
        return TablePreview(
            {
                "index": list(range(len(records))),
                "columns": ["video_id", *table.columns],
                "data": records,
            }
        )

    def forget(self, names: Forgotten, *, dry_run: bool = False) -> int:
        """Remove videos from the plan, from every part of every version, and their files."""
        found = set()
        for path, index in self._indexes():
            planned = [*index.items, *index.absent]
            found |= {key for key in planned if key in names}
            left = index.without(names)
            if left != index and not dry_run:
                left.write(path)
        folders = [path for path in self._folder.glob("*") if path.is_dir()]
        for folder in folders:
            columns = self._columns_in(folder)
            for part in parts_in(folder):
                found |= forget_in_part(part, names, columns, dry_run=dry_run)
            for place in {folder, *(column.folder for column in columns.values())}:
                for damaged in place.glob(f"*{DAMAGED_SUFFIX}"):  # nobody can say whose it is
                    if not dry_run:
                        damaged.unlink()
        return len(found)

    def _exists(self) -> bool:
        """Tell whether every planned item is accounted for: half a stage does not exist."""
        try:
            table = self.load()
        except DatasetError:
            return False
        return not any(entry.status == FAULT for entry in table.entries.values())

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "engine": repr(self._engine)}

    @property
    def _name(self) -> str:
        return self._folder.name.lstrip(".")

    def _version_folder(self, fingerprint: str) -> Place:
        return self._folder / fingerprint[:16]

    def _index(self) -> PlanIndex | None:
        """Return the latest plan; of a shard that has none of its own, its part of the whole."""
        own = PlanIndex.read(index_path(self._folder, self._shard))
        if own is not None or self._shard is None:
            return own
        whole = PlanIndex.read(index_path(self._folder))
        return None if whole is None else whole.of_shard(self._shard)

    def _indexes(self) -> Iterator[tuple[Place, PlanIndex]]:
        """Yield the plans that there are, the whole one and those of shards."""
        for path in listed(self._folder, INDEXES):
            if (index := PlanIndex.read(path)) is not None:
                yield path, index

    def _prepare(self, folder: Place) -> None:
        """Make the folders, and sweep what a killed run left half-written."""
        for place in {folder, *(column.folder for column in self._columns_in(folder).values())}:
            place.mkdir(parents=True, exist_ok=True)
            sweep_unfinished(place)

    def _stored(self, index: PlanIndex) -> dict[str, StoredCut]:
        """Return what is there of the cuts of a plan, by name."""
        stored = {}
        for name, version in index.cuts.items():
            folder = self._version_folder(version.fingerprint)
            columns = self._columns_in(folder)
            stored[name] = StoredCut(
                fingerprint=version.fingerprint,
                entries=read_ledger(folder, columns, index.items),
                columns=version.columns,
                file_columns=columns,
            )
        return stored

    def _missing(
        self, plan: StagePlan, cuts: Mapping[str, StoredCut]
    ) -> dict[tuple[str, ...], list[StageItem]]:
        """Return the items of a plan that no earlier run has accounted for, by what they lack."""
        asked_again = {
            name: _generation_noted_in(self._version_folder(cut.fingerprint) / RETRY_NAME)
            for name, cut in cuts.items()
        }

        def lacks(item: StageItem, name: str) -> bool:
            entry = cuts[name].entries.get(item.video_id)
            if entry is None or entry.status == FAULT:
                return True
            return entry.status == FAILED and generation_of(entry.part) <= asked_again[name]

        missing: dict[tuple[str, ...], list[StageItem]] = {}
        for item in plan.items:
            if lacking := tuple(name for name in cuts if lacks(item, name)):
                missing.setdefault(lacking, []).append(item)
        return missing

    def _run(
        self,
        plan: StagePlan,
        missing: Mapping[tuple[str, ...], Sequence[StageItem]],
        cuts: Mapping[str, StoredCut],
    ) -> BatchReport:
        count = sum(map(len, missing.values()))
        if not count:
            return BatchReport()
        reports = chain.from_iterable(
            self._engine.run(
                _batches(items, plan.batch_size),
                self._work(plan, {name: cuts[name] for name in names}),
                plan.resources,
            )
            for names, items in missing.items()
        )
        total = BatchReport()
        try:
            for report in with_progress(reports, count, self._name):
                total += report
        except KeyboardInterrupt:
            logger.warning(
                "%s interrupted. What was finished is kept; run the same command to go on.",
                self._name,
            )
            raise
        return total

    def _work(self, plan: StagePlan, cuts: Mapping[str, StoredCut]) -> StageWork:
        """Return what workers do where these cuts are missing."""
        writers = {}
        for name, cut in cuts.items():
            folder = self._version_folder(cut.fingerprint)
            writers[name] = PartWriter(
                folder=folder,
                generation=newest_generation(folder) + 1,
                file_columns=cut.file_columns,
            )
        columns = {name: cut.columns for name, cut in cuts.items()}
        writer = CutsWriter(writers=writers, columns=columns)
        return StageWork(transform=plan.taking(cuts.keys()), write=writer, recall=writer.recall)

    def retry(self) -> int:
        """Have the next save try again what failed; return how many items that are."""
        failed: dict[Place, set[str]] = {}
        for _, index in self._indexes():
            for cut in self._stored(index).values():
                found = {key for key, entry in cut.entries.items() if entry.has_failed}
                failed.setdefault(self._version_folder(cut.fingerprint), set()).update(found)
        for folder in (folder for folder, found in failed.items() if found):
            upto = str(newest_generation(folder)).encode()
            write_bytes_atomically(folder / RETRY_NAME, upto)
        return len(set().union(*failed.values()))

    def _log(self, kept: Counter[str]) -> None:
        report = self.last_report
        assert report is not None
        logger.info(
            "%s: %d computed, %d absent, %d failed, %d already there; %.1f s, %.1f items/s",
            self._name,
            report.done,
            report.absent,
            report.failed,
            report.skipped,
            report.seconds,
            report.items_per_second,
        )
        if kept:
            logger.warning(
                "%s: %d clips failed in an earlier run, and this is kept: %s. `tiktok-virality "
                "retry` has the next run try them again.",
                self._name,
                len(kept),
                ", ".join(f"{count} {reason}" for reason, count in kept.most_common(3)),
            )

    def _check_failures(self, plan: StagePlan, failed: Mapping[str, LedgerEntry]) -> None:
        if not plan.items or len(failed) / len(plan.items) <= self._max_failure_share:
            return
        examples = "\n".join(f"  {k}: {e.reason}: {e.detail}" for k, e in islice(failed.items(), 5))
        raise StageError(
            f"{len(failed)} of {len(plan.items)} items failed in {self._folder}, more than "
            f"max_failure_share={self._max_failure_share}. The first:\n{examples}\n"
            "What the clips themselves decide is kept; `tiktok-virality retry` has the next run "
            "try it again."
        )

    def _remove_old_versions(self, index: PlanIndex, before: Mapping[str, CutVersion]) -> None:
        """Keep the results of the latest two fingerprints of each cut, and no plan of a shard.

        Which these are is noted, and no matter of clocks. Where none is noted before the latest,
        as after damage to the note, everything stays. Cuts that are no longer taken go.
        """
        for path, _ in self._indexes():
            if path != index_path(self._folder):
                path.unlink()
        is_first = all(cut.earlier is None for cut in index.cuts.values())
        if is_first and before.keys() <= index.cuts.keys():
            return
        known = {each for cut in index.cuts.values() for each in (cut.fingerprint, cut.earlier)}
        kept = {self._version_folder(each) for each in known if each is not None}
        for old in {path for path in self._folder.iterdir() if path.is_dir()} - kept:
            logger.info("Removing %s, made with earlier settings", old)
            remove_folder(old)

    def _versions_before(self) -> Mapping[str, CutVersion]:
        try:
            return versions_noted_in(index_path(self._folder, self._shard))
        except DamageError as error:
            logger.warning("%s", error)
            return {}

    def _folders(self, index: PlanIndex) -> list[Place]:
        return [self._version_folder(cut.fingerprint) for cut in index.cuts.values()]

    def _columns_in(self, folder: Place) -> dict[str, FileColumn]:
        return {
            name: FileColumn(suffix=how["suffix"], folder=self._place_of_files(how, folder))
            for name, how in self._file_columns.items()
        }

    def _place_of_files(self, how: Mapping[str, str], folder: Place) -> Place:
        return place_at(how["path"], self._credentials) if "path" in how else folder


def _generation_noted_in(path: Place) -> int:
    """Return up to which save failures are to be tried again; -1 where nobody has asked."""
    return int(path.read_bytes() or b"0") if path.is_file() else -1


def make_engine(engine: Mapping[str, Any]) -> Engine:
    """Build the engine that a catalog entry names.

    Raises:
        DatasetError: There is no engine of that type.
    """
    options = dict(engine)
    kind = options.pop("type", "local")
    if kind == "local":
        return LocalEngine(**options)
    if kind == "ray":
        return RayEngine(**options)
    if kind == "resident":
        return ResidentEngine(**options)
    raise DatasetError(
        f"No engine {kind!r}; there are 'local', 'ray', and 'resident' for services. Set "
        "`engine.type` in globals.yml."
    )


def _batches(items: Sequence[StageItem], size: int) -> Iterator[Sequence[StageItem]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _describe_value(value: Any) -> Any:
    shape = getattr(value, "shape", None)
    return value if shape is None else f"{value.dtype} {list(shape)}"
