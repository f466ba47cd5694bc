"""How far each topic has come, for people: bars on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tiktok_virality.collection.ledger import CollectedVideo, CollectionEvent, FailedVideo

logger = logging.getLogger(__name__)

LINES_PER_TOPIC = 10


def with_topic_progress(
    events: Iterable[CollectionEvent], held: Mapping[str, int], wanted: Mapping[str, int]
) -> Iterator[CollectionEvent]:
    """Pass events through while showing how many videos each topic has of those that it shall."""
    from rich.console import Console

    noted = _with_warnings(events)
    if Console().is_terminal:
        return _with_bars(noted, held, wanted)
    return _with_log_lines(noted, held, wanted)


def _with_warnings(events: Iterable[CollectionEvent]) -> Iterator[CollectionEvent]:
    for event in events:
        if isinstance(event, FailedVideo):
            logger.warning("%s (%s): %s", event.video_id, event.reason, event.detail)
        yield event


def _with_bars(
    events: Iterable[CollectionEvent], held: Mapping[str, int], wanted: Mapping[str, int]
) -> Iterator[CollectionEvent]:
    from rich import progress as bars

    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.MofNCompleteColumn())
    with bars.Progress(*columns) as progress:
        tasks = {
            topic: progress.add_task(topic, total=total, completed=held.get(topic, 0))
            for topic, total in wanted.items()
        }
        for event in events:
            if isinstance(event, CollectedVideo):
                progress.advance(tasks[event.topic])
            yield event


def _with_log_lines(
    events: Iterable[CollectionEvent], held: Mapping[str, int], wanted: Mapping[str, int]
) -> Iterator[CollectionEvent]:
    have = Counter(held)
    for event in events:
        if isinstance(event, CollectedVideo):
            have[event.topic] += 1
            total = wanted[event.topic]
            if have[event.topic] % -(-total // LINES_PER_TOPIC) == 0 or have[event.topic] == total:
                logger.info("%s: %d of %d videos", event.topic, have[event.topic], total)
        yield event
