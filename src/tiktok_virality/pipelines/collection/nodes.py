"""The nodes of the collection pipeline: generators, so that each event is stored at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence

from tiktok_virality.collection.config import CollectionParameters, SiteAccess
from tiktok_virality.collection.ledger import (
    CollectedVideo,
    CollectionEvent,
    CollectionState,
    FoundVideo,
)


def find_videos(
    earlier_collection: CollectionState,
    site_access: SiteAccess,
    parameters: CollectionParameters,
    seed: int,
    forgotten: Container[str] = frozenset(),
) -> Iterator[Sequence[FoundVideo]]:
    """Look for links of every topic that needs more; open no page where none does.

    Yields:
        New links, as soon as a page shows them.

    Raises:
        CollectionError: The site refuses, or its pages have changed; the message says what to do.
    """
    from tiktok_virality.collection.discovery import discover
    from tiktok_virality.collection.pacing import Pacer

    pacer = Pacer(parameters.politeness)
    for links in discover(earlier_collection, parameters, site_access, seed, pacer):
        yield [link for link in links if link.video_id not in forgotten]


def fetch_videos(
    found_videos: CollectionState,
    site_access: SiteAccess,
    parameters: CollectionParameters,
    seed: int,
    forgotten: Container[str] = frozenset(),
) -> Iterator[CollectionEvent]:
    """Download until every topic has its number, and count anew what was counted too long ago.

    Args:
        found_videos: What is there, and all links.
        site_access: Proxy, cookies, and the key of the creators' hashes.
        parameters: Of the collection; its dry run only lists.
        seed: Decides the order.
        forgotten: Ids of videos, and creators as they are stored, that are not to be taken.

    Yields:
        What happened, one video at a time.

    Raises:
        CollectionError: The site refuses, or too many videos failed in a row.
    """
    from tiktok_virality.collection.corpus import (
        collect,
        download_queue,
        log_listing,
        log_shortfall,
    )
    from tiktok_virality.collection.download import VideoDownloader
    from tiktok_virality.collection.pacing import Pacer
    from tiktok_virality.collection.progress import with_topic_progress
    from tiktok_virality.media.probe import probe_video

    if parameters.dry_run:
        log_listing(found_videos, parameters, download_queue(found_videos, parameters, seed))
        return
    wanted = {topic: parameters.wanted(topic) for topic in parameters.topics}
    held = Counter(found_videos.held_by_topic)
    pacer = Pacer(parameters.politeness)
    with VideoDownloader(
        parameters, site_access, found_videos.folder, probe_video, pacer, forgotten
    ) as downloader:
        events = collect(found_videos, parameters, seed, downloader)
        for event in with_topic_progress(events, found_videos.held_by_topic, wanted):
            yield event
            if isinstance(event, CollectedVideo):
                held[event.topic] += 1
    log_shortfall(held, parameters)
