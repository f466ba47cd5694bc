"""What a corpus cannot say, because of how it was chosen: in plain sentences, from the numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from tiktok_virality.datasets.overlooked_columns import sentences
from tiktok_virality.pipelines.ingestion.card import DatasetSummary
from tiktok_virality.pipelines.reporting.wording import count, number, percent, plural

HITS_FROM_VIEWS: Final = 1_000_000
"""A clip that was posted at random is seen some hundred times; half of a corpus beyond this was
chosen by its success."""

NARROW_FACTOR: Final = 10
"""Between the tenth and the ninetieth clip of a hundred; log views need room to differ."""

FEW_CLIPS: Final = 100
FEW_CREATORS: Final = 20
LARGEST_SHARE: Final = 0.1
UNKNOWN_SHARE: Final = 0.2
SETTLED_DAYS: Final = 7
"""Most of a clip's views come in its first week."""

UNEVEN_AGE: Final = 10
"""Factor between old and young clips at their capture."""

UNEVEN_TOPICS: Final = 3
SILENT_SHARE: Final = 0.1
COPIES_SHARE: Final = 0.05
REJECTED_SHARE: Final = 0.1
SHORT_PERIOD_DAYS: Final = 30


def selection_warnings(summary: DatasetSummary) -> list[str]:
    """Return what to bear in mind; empty where nothing stands out."""
    return [
        *sentences(summary.overlooked),
        *_of_size(summary),
        *_of_views(summary),
        *_of_creators(summary),
        *_of_topics(summary),
        *_of_time(summary),
        *_of_clips(summary),
    ]


def _of_size(summary: DatasetSummary) -> Iterator[str]:
    if summary.clips < FEW_CLIPS:
        yield (
            f"There are only {plural(summary.clips, 'clip')}: figures of models will have wide "
            "intervals, and small differences between them will mean nothing."
        )


def _of_views(summary: DatasetSummary) -> Iterator[str]:
    views = summary.views
    if views.median is None or views.low is None or views.high is None:
        return
    if views.median >= HITS_FROM_VIEWS:
        yield (
            f"Half of the clips have at least {count(views.median)} views: a corpus of hits. What "
            "a model learns here is which hits are larger, not what becomes one."
        )
    if summary.clips > 1 and views.high < NARROW_FACTOR * max(views.low, 1):
        yield (
            f"Eight in ten clips have between {count(views.low)} and {count(views.high)} views: "
            "there is little difference to explain."
        )
    if summary.clips >= FEW_CLIPS and summary.most_watched_percent > 0.5:
        yield (
            f"One clip in a hundred has {percent(summary.most_watched_percent)} of all views: "
            "means and errors of plain counts hang on these few. Use log views."
        )


def _of_creators(summary: DatasetSummary) -> Iterator[str]:
    creators = summary.creators
    unknown = 1 - summary.known["creator_id"]
    if creators is None:
        yield (
            "No creator is known: clips of one creator may be in the training and in the test "
            "split, and results will look better than they are."
        )
        return
    if unknown > UNKNOWN_SHARE:
        yield (
            f"The creators of {percent(unknown)} of the clips are not known: each of these counts "
            "as a creator of its own."
        )
    if creators.creators < FEW_CREATORS:
        yield (
            f"There {'is' if creators.creators == 1 else 'are'} only "
            f"{plural(creators.creators, 'creator')}: clips of one resemble each other, and the "
            "test split holds few of them."
        )
    if creators.creators > 1 and creators.largest_share > LARGEST_SHARE:
        yield f"One creator has {percent(creators.largest_share)} of the clips."


def _of_topics(summary: DatasetSummary) -> Iterator[str]:
    topics = summary.topics
    if topics is None or topics.told_by != "topic":
        return
    sizes = [group.clips for group in topics.groups]
    if len(sizes) > 1 and max(sizes) > UNEVEN_TOPICS * min(sizes):
        largest, smallest = topics.groups[0], min(topics.groups, key=lambda group: group.clips)
        yield (
            f"Topics are out of balance: {plural(largest.clips, 'clip')} of {largest.name}, "
            f"{smallest.clips} of {smallest.name}."
        )


def _of_time(summary: DatasetSummary) -> Iterator[str]:
    age, captured = summary.age_days, summary.captured.known
    if captured < (1 - UNKNOWN_SHARE) * summary.clips:
        yield (
            f"When the views were counted is not known of {_missing(summary, captured)}: a clip "
            "may have few views because it was young."
        )
    if summary.posted.known < (1 - UNKNOWN_SHARE) * summary.clips:
        yield (
            f"When a clip was posted is not known of {_missing(summary, summary.posted.known)}: "
            "no split by time, and no views per day."
        )
    if age.median is not None and age.low is not None and age.high is not None:
        if age.median < SETTLED_DAYS:
            yield (
                f"Half of the clips were counted within {number(age.median, 1)} days of posting, "
                "when counts still grow: compare at a fixed horizon, or count again later."
            )
        if age.high > UNEVEN_AGE * max(age.low, 1):
            yield (
                f"Clips were of very different age when they were counted, from "
                f"{number(age.low, 0)} days (the tenth of a hundred) to {number(age.high, 0)} (the "
                "ninetieth): age explains a part of the views."
            )
    days = _days_of_posting(summary)
    if days is not None and days < SHORT_PERIOD_DAYS and summary.clips > 1:
        yield (
            f"All clips were posted within {plural(days + 1, 'day')}: fashions of other times are "
            "not in it."
        )


def _of_clips(summary: DatasetSummary) -> Iterator[str]:
    if not summary.sound_compared:
        yield (
            "The ffmpeg that read the sound has no Chromaprint: copies were found by their "
            "pictures alone, and one with another picture may stand in another split."
        )
    silent = summary.without_audio / summary.clips
    if silent > SILENT_SHARE:
        yield (
            f"{percent(silent)} of the clips have no audio track: models of sound are trained and "
            "judged on the others."
        )
    if summary.duplicate_clips > COPIES_SHARE * summary.clips:
        yield (
            f"{plural(summary.duplicate_clips, 'clip')} are copies of others, in "
            f"{plural(summary.duplicate_groups, 'group')}: they stay in one split together."
        )
    rejected = sum(each.count for each in summary.rejects)
    if rejected > REJECTED_SHARE * (rejected + summary.clips):
        most = summary.rejects[0]
        yield (
            f"{percent(rejected / (rejected + summary.clips))} of what was there could not be "
            f"used, most often for “{most.reason}”: what is left may differ from it."
        )


def _missing(summary: DatasetSummary, known: int) -> str:
    return "any clip" if known == 0 else f"{percent(1 - known / summary.clips)} of the clips"


def _days_of_posting(summary: DatasetSummary) -> int | None:
    first, last = summary.posted.first, summary.posted.last
    if first is None or last is None:
        return None
    return (date.fromisoformat(last) - date.fromisoformat(first)).days
