"""The resident engine: the driver itself, in which what stages have loaded stays loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from threading import Lock
from typing import Final

from tiktok_virality.execution.beside import ProcessBeside
from tiktok_virality.execution.plan import Resources, StageItem, Transform, fingerprint_of
from tiktok_virality.execution.work import BatchReport, StageWork


class ResidentEngine:
    """Runs a few clips at a time, again and again, with transforms that are set up once.

    Transforms with equal identities give equal results, so the first of them serves all. They are
    kept for the life of the process; one batch after the other, for transforms are not shared by
    threads. Stages that ask for it run in the process beside, once there is one
    (`start_beside`), and keep what they load there.
    """

    def run(
        self, batches: Iterable[Sequence[StageItem]], work: StageWork, resources: Resources
    ) -> Iterator[BatchReport]:
        """Yield a report as each batch is finished and written."""
        beside = _beside.get("process") if resources.beside else None
        for batch in batches:
            yield run_here(batch, work) if beside is None else beside.run(batch, work)


def start_beside(libraries: Sequence[str]) -> None:
    """Start the process beside, unless there is one.

    Args:
        libraries: Modules that it imports at once, while this process goes on.
    """
    with _STARTING:
        if "process" not in _beside:
            _beside["process"] = ProcessBeside(libraries)


def run_here(batch: Sequence[StageItem], work: StageWork) -> BatchReport:
    """Process a batch with the transform of its kind that is set up, and write it."""
    with _LOCK:
        name = fingerprint_of(work.transform)
        kept = _KEPT.get(name)
        resident = work if kept is None else StageWork(kept, work.write, is_ready=True)
        report = resident(batch)
        _KEPT[name] = resident.transform
        return report


_STARTING: Final = Lock()
_LOCK: Final = Lock()
_KEPT: Final[dict[str, Transform]] = {}
"""Transforms that are set up, by what decides their results."""

_beside: Final[dict[str, ProcessBeside]] = {}
