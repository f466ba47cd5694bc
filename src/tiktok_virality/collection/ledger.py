"""What is noted during a collection, and what is known when one starts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

Step = Literal["download", "snapshot"]


def moment(when: datetime) -> str:
    """Return a moment as it is written: ISO 8601 in UTC, to the second."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class FoundVideo:
    """A link that was found.

    Attributes:
        video_id: The site's id, the same as later in the manifest.
        topic: Whose hashtag showed it first.
        hashtag: The hashtag, without ``#``.
        found_at: ISO 8601 in UTC.
    """

    video_id: str
    topic: str
    hashtag: str
    found_at: str


@dataclass(frozen=True, kw_only=True)
class CountSnapshot:
    """How often a video was seen until a moment.

    Attributes:
        video_id: Of the video.
        captured_at: ISO 8601 in UTC.
        views: Plays.
        likes: ``None`` where the site does not say.
        comments: The same.
        shares: The same.
    """

    video_id: str
    captured_at: str
    views: int
    likes: int | None
    comments: int | None
    shares: int | None


@dataclass(frozen=True, kw_only=True)
class CollectedVideo:
    """A whole, playable video under a temporary name, with its record.

    Attributes:
        video_id: Of the video.
        topic: It counts for this topic.
        path: Where the file is now.
        record: What becomes its ``.info.json``.
        counts: Its counts at the time of the download.
    """

    video_id: str
    topic: str
    path: Path
    record: Mapping[str, Any]
    counts: CountSnapshot


@dataclass(frozen=True, kw_only=True)
class FailedVideo:
    """A video that could not be had.

    Attributes:
        video_id: Of the video.
        topic: It would have counted for this topic.
        step: What was tried.
        reason: A short, fixed phrase.
        detail: What exactly was found.
        is_final: Whether asking again is useless; others are tried again by the next run.
        failed_at: ISO 8601 in UTC.
    """

    video_id: str
    topic: str
    step: Step
    reason: str
    detail: str
    is_final: bool
    failed_at: str


CollectionEvent = FoundVideo | CountSnapshot | CollectedVideo | FailedVideo


@dataclass(frozen=True, kw_only=True)
class CollectionState:
    """What earlier runs have left.

    Attributes:
        folder: Where the videos are.
        found: Every link ever found, by id, in the order of finding.
        held: Ids of the videos that are there.
        archived: Ids of all that were ever downloaded, removed ones included.
        given_up: Ids, by step, that are not worth asking for again.
        last_counted: When each video was counted last.
    """

    folder: Path
    found: Mapping[str, FoundVideo] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    archived: frozenset[str] = frozenset()
    given_up: frozenset[tuple[str, Step]] = frozenset()
    last_counted: Mapping[str, datetime] = field(default_factory=dict)

    @cached_property
    def held_by_topic(self) -> Counter[str]:
        """How many videos each topic has."""
        return Counter(link.topic for link in self.found.values() if link.video_id in self.held)

    @cached_property
    def pending(self) -> Sequence[FoundVideo]:
        """Links that were neither downloaded nor given up."""
        return [
            link
            for link in self.found.values()
            if link.video_id not in self.held
            and link.video_id not in self.archived
            and (link.video_id, "download") not in self.given_up
        ]
