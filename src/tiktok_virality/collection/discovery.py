"""From topics to links: hashtag pages in random order, scrolled until they have shown enough."""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial

from tiktok_virality.collection import page_state
from tiktok_virality.collection.browser import Answer, Browser, open_browser
from tiktok_virality.collection.config import CollectionParameters, SiteAccess
from tiktok_virality.collection.corpus import FailureGuard, links_wanted
from tiktok_virality.collection.errors import (
    CollectionError,
    LayoutError,
    TryAgainError,
    VideoError,
    captcha_met,
    layout_changed,
    site_forbids,
)
from tiktok_virality.collection.ledger import CollectionState, FoundVideo, moment
from tiktok_virality.collection.pacing import Pacer, parse_retry_after

logger = logging.getLogger(__name__)

FORBIDDEN = 403
NOT_FOUND = 404
TOO_MANY_REQUESTS = 429
SERVER_FAULTS = 500


def discover(
    state: CollectionState,
    parameters: CollectionParameters,
    access: SiteAccess,
    seed: int,
    pacer: Pacer,
) -> Iterator[list[FoundVideo]]:
    """Look for links until every topic has enough; open no page where all have.

    Yields:
        New links, as soon as a page shows them.

    Raises:
        CollectionError: The site refuses, or its pages have changed.
    """
    missing = links_wanted(state, parameters)
    if not missing:
        logger.info("Enough links are known; no page is opened")
        return
    with open_browser(access, parameters.browser, pacer) as browser:
        search = HashtagSearch(parameters, browser, pacer, known=set(state.found))
        for topic in random.Random(seed).sample(sorted(missing), len(missing)):
            yield from search.topic(topic, missing[topic], seed)
    search.check_anything_worked()


class HashtagSearch:
    """Goes through the hashtags of topics.

    Args:
        parameters: Of the collection.
        browser: Shows the pages.
        pacer: Repeats what fails in passing.
        known: Ids that are no news.
    """

    def __init__(
        self, parameters: CollectionParameters, browser: Browser, pacer: Pacer, known: set[str]
    ) -> None:
        self._parameters = parameters
        self._browser = browser
        self._pacer = pacer
        self._known = known
        self._guard = FailureGuard(parameters.stop_after_failures, "hashtags")
        self._worked = 0
        self._last_fault: VideoError | None = None

    def topic(self, topic: str, wanted: int, seed: int) -> Iterator[list[FoundVideo]]:
        """Look for so many new links of a topic, evenly over its hashtags.

        Yields:
            New links.
        """
        hashtags = list(self._parameters.topics[topic])
        random.Random(f"{seed} {topic}").shuffle(hashtags)
        found = 0
        while hashtags and found < wanted:
            may_have_more = []
            for place, hashtag in enumerate(hashtags):
                if found >= wanted:
                    break
                quota = math.ceil((wanted - found) / (len(hashtags) - place))
                shown = 0
                for ids in self._new_ids(hashtag, quota):
                    shown += len(ids)
                    yield [_found(video_id, topic, hashtag) for video_id in ids]
                found += shown
                if shown == quota:
                    may_have_more.append(hashtag)
            hashtags = may_have_more
        logger.info("%s: %d of %d wanted links found", topic, found, wanted)

    def check_anything_worked(self) -> None:
        """Tell a search that found nothing new from one that saw nothing.

        Raises:
            CollectionError: No page of a hashtag could be read.
        """
        if not self._worked and self._last_fault is not None:
            raise CollectionError(
                f"No hashtag's page could be read; the last time: {self._last_fault}. Look at "
                f"{self._parameters.base_url} in a browser from the same network."
            )

    def _new_ids(self, hashtag: str, quota: int) -> Iterator[list[str]]:
        """Yield ids that are not known yet until there are so many, or the page shows no more."""
        try:
            is_open = self._pacer.retrying(lambda: self._open(hashtag))
        except VideoError as error:
            logger.warning("#%s cannot be read: %s", hashtag, error)
            self._last_fault = error
            self._guard.failed(error)
            return
        self._guard.passed()
        self._worked += 1
        new, shown = 0, 0
        while is_open and new < quota:
            ids = self._browser.video_ids()
            fresh = [each for each in ids if each not in self._known][: quota - new]
            self._known.update(fresh)
            new, shown = new + len(fresh), len(ids)
            if fresh:
                yield fresh
            if new < quota:
                is_open = self._pacer.retrying(partial(self._scroll, hashtag, shown))

    def _open(self, hashtag: str) -> bool:
        """Open a hashtag's page; return whether it shows videos.

        Raises:
            TryAgainError: It may work later.
            VideoError: It does not work.
            CollectionError: The site refuses, or the page has changed.
        """
        where = f"the page of #{hashtag}"
        _check_status(self._browser.visit(self._parameters.hashtag_url(hashtag)), where)
        try:
            count = page_state.hashtag_video_count(self._browser.page(), hashtag)
            fault = (
                f"{where} says that there are {count} videos, but shows no link that matches "
                f"{page_state.LINK_SELECTOR}"
            )
        except LayoutError as error:
            count, fault = None, error.detail
        if count == 0:
            logger.warning("#%s: the site has no videos for it", hashtag)
            return False
        if self._browser.wait_for_videos(0):
            return True
        if self._browser.shows_captcha():
            raise captcha_met(where)
        raise layout_changed(fault)

    def _scroll(self, hashtag: str, shown: int) -> bool:
        """Scroll down; return whether more videos came.

        Raises:
            TryAgainError: The site says that it is asked too often.
            CollectionError: A captcha came, or the site refuses.
        """
        self._browser.scroll_down()
        if self._browser.wait_for_videos(shown):
            return True
        if self._browser.shows_captcha():
            raise captcha_met(f"more of #{hashtag}")
        refusal = self._browser.refusal()
        if refusal is not None:
            _check_status(refusal, f"more of #{hashtag}")
        return False


def _check_status(answer: Answer, where: str) -> None:
    """Turn the status of a page into the fault that it means."""
    status = answer.status
    if status == FORBIDDEN:
        raise site_forbids(where)
    if status == NOT_FOUND:
        raise VideoError("no page", f"status {status} for {where}", is_final=True)
    if status is not None and (status == TOO_MANY_REQUESTS or status >= SERVER_FAULTS):
        raise TryAgainError(
            "unreachable",
            f"status {status} for {where}",
            retry_after_seconds=parse_retry_after(
                answer.headers.get("retry-after"), datetime.now(UTC)
            ),
            is_rate_limit=status == TOO_MANY_REQUESTS,
        )


def _found(video_id: str, topic: str, hashtag: str) -> FoundVideo:
    return FoundVideo(
        video_id=video_id, topic=topic, hashtag=hashtag, found_at=moment(datetime.now(UTC))
    )
