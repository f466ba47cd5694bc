"""From links to videos: which are taken, in which order, and when to stop."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

from tiktok_virality.collection.config import CollectionParameters
from tiktok_virality.collection.errors import (
    KEPT,
    CollectionError,
    LayoutError,
    VideoError,
    layout_changed,
    site_forbids,
)
from tiktok_virality.collection.ledger import (
    CollectedVideo,
    CollectionEvent,
    CollectionState,
    CountSnapshot,
    FailedVideo,
    FoundVideo,
    Step,
    moment,
)
from tiktok_virality.schema import digest

logger = logging.getLogger(__name__)


class Downloader(Protocol):
    """Fetches videos and counts."""

    def download(self, found: FoundVideo) -> CollectedVideo:
        """Return a video under a temporary name."""

    def count(self, video_id: str) -> CountSnapshot:
        """Return how often a video was seen until now."""


def links_wanted(state: CollectionState, parameters: CollectionParameters) -> dict[str, int]:
    """Return how many more links each topic needs; topics that have all they need are left out."""
    pending = Counter(link.topic for link in state.pending)
    missing = {}
    for topic in parameters.topics:
        lacking = parameters.wanted(topic) - state.held_by_topic[topic]
        links = math.ceil(lacking * parameters.links_per_video) - pending[topic]
        if lacking > 0 and links > 0:
            missing[topic] = links
    return missing


def download_queue(
    state: CollectionState, parameters: CollectionParameters, seed: int
) -> list[FoundVideo]:
    """Return the links to download in an order that the seed alone decides.

    So a run that was stopped goes on as it would have gone.
    """
    links = [link for link in state.pending if link.topic in parameters.topics]
    return sorted(links, key=lambda link: digest([seed, link.video_id]))


def due_snapshots(
    state: CollectionState, parameters: CollectionParameters, now: datetime
) -> list[FoundVideo]:
    """Return the videos that are there and were counted too long ago, the longest ago first."""
    if parameters.snapshot_after_days is None:
        return []
    latest = now - timedelta(days=parameters.snapshot_after_days)
    never = datetime.min.replace(tzinfo=UTC)
    counted = {
        video_id: state.last_counted.get(video_id, never)
        for video_id in state.found
        if video_id in state.held and (video_id, "snapshot") not in state.given_up
    }
    due = sorted((when, video_id) for video_id, when in counted.items() if when <= latest)
    return [state.found[video_id] for _, video_id in due]


def collect(
    state: CollectionState, parameters: CollectionParameters, seed: int, downloader: Downloader
) -> Iterator[CollectionEvent]:
    """Download until every topic has its number, then count anew what is due.

    Yields:
        What happened, one video at a time; whoever takes it must store it before asking on.

    Raises:
        CollectionError: Too many videos failed in a row, or the site refuses.
    """
    guard = FailureGuard(parameters.stop_after_failures)
    due = due_snapshots(state, parameters, datetime.now(UTC))
    held = Counter(state.held_by_topic)
    for link in download_queue(state, parameters, seed):
        if held[link.topic] >= parameters.wanted(link.topic):
            continue
        try:
            video = downloader.download(link)
        except VideoError as error:
            yield _failure(link, "download", error)
            guard.failed(error)
            continue
        guard.passed()
        held[link.topic] += 1
        yield video
    for link in due:
        try:
            yield downloader.count(link.video_id)
        except VideoError as error:
            yield _failure(link, "snapshot", error)
            guard.failed(error)
            continue
        guard.passed()


class FailureGuard:
    """Tells single failures from a site that does not work any more.

    Args:
        longest_row: So many failures in a row are too many; final ones, such as of a deleted
            video, do not count.
        what: The name of what fails, in the plural.
    """

    def __init__(self, longest_row: int, what: str = "videos") -> None:
        self._longest_row = longest_row
        self._what = what
        self._row = 0

    def passed(self) -> None:
        """Note that a video was had."""
        self._row = 0

    def failed(self, error: VideoError) -> None:
        """Note that a video was not had.

        Raises:
            CollectionError: It is one too many.
        """
        if error.is_final:
            return
        self._row += 1
        if self._row >= self._longest_row:
            raise self._stopped(error) from None

    def _stopped(self, error: VideoError) -> CollectionError:
        many = f"{self._row} {self._what} in a row"
        if isinstance(error, LayoutError):
            return layout_changed(f"for {many}, the last time: {error.detail}")
        if error.reason == "forbidden":
            return site_forbids(many)
        return CollectionError(
            f"{many} failed, the last one as {error.reason!r}: {error.detail}. Look at the site in "
            "a browser, and at the line, the proxy and the cookies_file in the credentials; the "
            f"table of failures lists them all. {KEPT}"
        )


def log_listing(
    state: CollectionState, parameters: CollectionParameters, queue: list[FoundVideo]
) -> None:
    """Say what a run would download."""
    listed: dict[str, list[FoundVideo]] = {topic: [] for topic in parameters.topics}
    for link in queue:
        if (
            len(listed[link.topic])
            < parameters.wanted(link.topic) - state.held_by_topic[link.topic]
        ):
            listed[link.topic].append(link)
    for topic, links in listed.items():
        have = state.held_by_topic[topic]
        logger.info("%s: %d there, %d would be downloaded", topic, have, len(links))
        for link in links:
            logger.info("  %s  (#%s)", parameters.video_url(link.video_id), link.hashtag)


def log_shortfall(held: Mapping[str, int], parameters: CollectionParameters) -> None:
    """Name the topics that have fewer videos than they should."""
    short = {
        topic: held.get(topic, 0)
        for topic in parameters.topics
        if held.get(topic, 0) < parameters.wanted(topic)
    }
    for topic, have in short.items():
        wanted = parameters.wanted(topic)
        logger.warning("%s has %d of %d videos", topic, have, wanted)
    if short:
        logger.warning(
            "Run again to look for more, or give these topics more hashtags in collection.topics."
        )


def _failure(link: FoundVideo, step: Step, error: VideoError) -> FailedVideo:
    return FailedVideo(
        video_id=link.video_id,
        topic=link.topic,
        step=step,
        reason=error.reason,
        detail=error.detail,
        is_final=error.is_final,
        failed_at=moment(datetime.now(UTC)),
    )
