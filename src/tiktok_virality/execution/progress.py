"""How far a stage has come, for people: a bar on a terminal, a few log lines elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator

from tiktok_virality.execution.work import BatchReport

logger = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 15.0


def with_progress(reports: Iterable[BatchReport], total: int, name: str) -> Iterator[BatchReport]:
    """Pass reports through while showing how many of ``total`` items are finished."""
    from rich.console import Console

    console = Console()
    if console.is_terminal:
        return _with_bar(reports, total, name)
    return _with_log_lines(reports, total, name)


def _with_bar(reports: Iterable[BatchReport], total: int, name: str) -> Iterator[BatchReport]:
    from rich import progress as bars

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns) as progress:
        task = progress.add_task(name, total=total)
        for report in reports:
            progress.advance(task, report.total)
            yield report


def _with_log_lines(reports: Iterable[BatchReport], total: int, name: str) -> Iterator[BatchReport]:
    finished, last = 0, time.monotonic()
    for report in reports:
        finished += report.total
        if finished < total and time.monotonic() - last >= LOG_EVERY_SECONDS:
            last = time.monotonic()
            logger.info("%s: %d of %d", name, finished, total)
        yield report
