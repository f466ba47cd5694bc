"""What a finished stage holds: rows by video id, read on demand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tiktok_virality.datasets.part_files import (
    DONE,
    FAILED,
    FAULT,
    FileColumn,
    cell_shape,
    open_part,
    read_cell,
    result_columns,
)
from tiktok_virality.execution import StageItem
from tiktok_virality.schema import digest
from tiktok_virality.storage import Place

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRow:
    """A reference to one row of a part file: small enough to send to any worker."""

    part: Place
    row: int
    columns: tuple[str, ...]
    file_columns: Mapping[str, FileColumn] = field(default_factory=dict)

    def load(self) -> dict[str, Any]:
        """Read the row's columns, and nothing else."""
        return {
            name: read_cell(self.part, self.row, name, self.file_columns) for name in self.columns
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class JoinedRow:
    """References to what several cuts hold of one video."""

    rows: tuple[StoredRow, ...]

    def load(self) -> dict[str, Any]:
        """Read the columns of all, and nothing else."""
        return {name: value for row in self.rows for name, value in row.load().items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerEntry:
    """How one item ended, and where its row is."""

    status: str
    reason: str | None
    detail: str | None
    part: Place
    row: int

    @property
    def has_failed(self) -> bool:
        """Whether there is no row for it, and should be."""
        return self.status in (FAILED, FAULT)


@dataclass(frozen=True, kw_only=True)
class StoredCut:
    """What is kept of one cut.

    Attributes:
        fingerprint: Digest of what decided it.
        entries: How each planned item ended.
        columns: Their names; ``None`` is whatever its parts hold.
        file_columns: Columns kept as files of their own.
    """

    fingerprint: str
    entries: Mapping[str, LedgerEntry]
    columns: tuple[str, ...] | None = None
    file_columns: Mapping[str, FileColumn] = field(default_factory=dict)

    def has(self, column: str) -> bool:
        """Whether a column is of this cut, as far as its settings say."""
        return self.columns is None or column in self.columns

    def row(self, video_id: str, columns: Sequence[str] | None) -> StoredRow:
        """Return the reference to what it holds of a video: some columns, or all."""
        entry = self.entries[video_id]
        names = result_columns(open_part(entry.part)) if columns is None else columns
        return StoredRow(
            part=entry.part, row=entry.row, columns=tuple(names), file_columns=self.file_columns
        )


@dataclass(frozen=True, kw_only=True)
class StageTable:
    """The rows of a finished stage, keyed by video id, in the order of the plan.

    Attributes:
        cuts: What is kept apart: most stages have one cut.
        digests: Of the content of each planned item, by id.
        absent: Ids that have nothing to compute, with the reason.
    """

    cuts: Sequence[StoredCut]
    digests: Mapping[str, str]
    absent: Mapping[str, str]

    @cached_property
    def entries(self) -> Mapping[str, LedgerEntry]:
        """How each planned item ended; where cuts differ, how the first that is not done did."""
        first, *others = (cut.entries for cut in self.cuts)
        worse = {
            key: entry
            for entries in reversed(others)
            for key, entry in entries.items()
            if entry.status != DONE and first[key].status == DONE
        }
        return {**first, **worse} if worse else first

    def fingerprint_of(self, columns: Sequence[str]) -> str:
        """Return a digest of what decided some columns, and of nothing else."""
        return _joined([cut.fingerprint for cut, _ in self._cuts_of(columns)])

    @property
    def fingerprint(self) -> str:
        """Digest of what decided the results."""
        return _joined([cut.fingerprint for cut in self.cuts])

    @cached_property
    def ids(self) -> list[str]:
        """Ids that have a row."""
        return [key for key, entry in self.entries.items() if entry.status == DONE]

    @property
    def failed(self) -> pd.DataFrame:
        """The failure table: ``video_id``, ``reason``, ``detail``."""
        import pandas as pd

        rows = [
            (key, entry.reason, entry.detail)
            for key, entry in self.entries.items()
            if entry.has_failed
        ]
        return pd.DataFrame(rows, columns=["video_id", "reason", "detail"], dtype="str")

    def missing(self, what: str) -> dict[str, str]:
        """Return why each id without a row has none: what the next stage passes on as absent.

        Args:
            what: Is lacking where it failed here, such as ``"frames"``.
        """
        failed = {
            key: f"no {what}: {entry.reason}"
            for key, entry in self.entries.items()
            if entry.has_failed
        }
        return {**self.absent, **failed}

    @cached_property
    def columns(self) -> list[str]:
        """Names of the result columns."""
        parts = {cut.entries[key].part: None for cut in self.cuts for key in self.ids}
        return list(
            dict.fromkeys(name for part in parts for name in result_columns(open_part(part)))
        )

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, video_id: object) -> bool:
        entry = self.entries.get(video_id) if isinstance(video_id, str) else None
        return entry is not None and entry.status == DONE

    def row(self, video_id: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """Read one row.

        Args:
            video_id: An id in `ids`.
            columns: What to read; ``None`` reads all.

        Raises:
            KeyError: The id has no row; the message says why.
        """
        return self._reference(video_id, columns).load()

    def shape_of(self, video_id: str, column: str) -> tuple[int, ...]:
        """Return the shape of an array, of which nothing else is read.

        Raises:
            KeyError: As `row`.
        """
        row = self._reference(video_id, [column])
        assert isinstance(row, StoredRow)  # one column is in one cut
        return cell_shape(row.part, row.row, column)

    def rows(
        self, ids: Iterable[str] | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Read rows one at a time."""
        for video_id in self.ids if ids is None else ids:
            yield video_id, self.row(video_id, columns)

    def to_frame(self, columns: Sequence[str]) -> pd.DataFrame:
        """Return scalar columns as a table, ``video_id`` first."""
        import pandas as pd

        rows = [{"video_id": key, **row} for key, row in self.rows(columns=columns)]
        return pd.DataFrame(rows, columns=["video_id", *columns])

    def items(self, columns: Sequence[str]) -> list[StageItem]:
        """Return items for the next stage; each payload's ``load()`` reads these columns."""
        held = self._cuts_of(columns)
        fingerprint = _joined([cut.fingerprint for cut, _ in held])
        return [
            StageItem(
                video_id=video_id,
                digest=digest([fingerprint, self.digests[video_id]])[:16],
                payload=_row_of(video_id, held),
            )
            for video_id in self.ids
        ]

    def _reference(self, video_id: str, columns: Sequence[str] | None) -> StoredRow | JoinedRow:
        if video_id not in self:
            raise KeyError(self._why_there_is_no_row(video_id))
        if columns is None:
            return _row_of(video_id, [(cut, None) for cut in self.cuts])
        return _row_of(video_id, self._cuts_of(columns))

    def _cuts_of(self, columns: Sequence[str]) -> list[tuple[StoredCut, list[str]]]:
        """Return the cuts that hold some columns, each with those of it.

        Raises:
            KeyError: No cut has such a column.
        """
        unknown = [name for name in columns if not any(cut.has(name) for cut in self.cuts)]
        if unknown:
            known = [name for cut in self.cuts for name in cut.columns or ()]
            raise KeyError(f"No column {unknown[0]!r}; there are {known}.")
        held = [(cut, [name for name in columns if cut.has(name)]) for cut in self.cuts]
        return [(cut, names) for cut, names in held if names]

    def _why_there_is_no_row(self, video_id: str) -> str:
        if video_id in self.absent:
            return f"{video_id!r} has nothing here: {self.absent[video_id]}."
        if video_id in self.entries:
            return f"{video_id!r} failed here: {self.entries[video_id].reason}."
        return f"{video_id!r} was not part of this stage."

    def __repr__(self) -> str:
        failed = sum(entry.has_failed for entry in self.entries.values())
        return f"StageTable({len(self)} rows, {len(self.absent)} absent, {failed} failed)"


def _row_of(
    video_id: str, held: Sequence[tuple[StoredCut, Sequence[str] | None]]
) -> StoredRow | JoinedRow:
    """Return the reference to what cuts hold of a video: some columns of each, or all."""
    rows = [cut.row(video_id, columns) for cut, columns in held]
    return rows[0] if len(rows) == 1 else JoinedRow(rows=tuple(rows))


def _joined(fingerprints: Sequence[str]) -> str:
    return fingerprints[0] if len(fingerprints) == 1 else digest(list(fingerprints))
