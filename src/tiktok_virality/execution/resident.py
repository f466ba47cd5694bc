"""The resident engine: the driver itself, in which what stages have loaded stays loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tiktok_virality.execution.plan import Resources, StageItem, Transform, fingerprint_of
from tiktok_virality.execution.work import BatchReport, StageWork


class ResidentEngine:
    """Runs a few clips at a time, again and again, with transforms that are set up once.

    Transforms with equal identities give equal results, so the first of them serves all. They are
    kept for the life of the process; one clip after the other, for transforms are not shared by
    threads.
    """

    def run(
        self, batches: Iterable[Sequence[StageItem]], work: StageWork, resources: Resources
    ) -> Iterator[BatchReport]:
        """Yield a report as each batch is finished and written."""
        name = fingerprint_of(work.transform)
        kept = _KEPT.get(name)
        resident = work if kept is None else StageWork(kept, work.write, is_ready=True)
        for batch in batches:
            yield resident(batch)
            _KEPT[name] = resident.transform


_KEPT: Final[dict[str, Transform]] = {}
"""Transforms that are set up, by what decides their results."""
