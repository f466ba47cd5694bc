"""When the next request may start."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from tiktok_virality.collection.config import Politeness
from tiktok_virality.collection.errors import (
    KEPT,
    CollectionError,
    TryAgainError,
    VideoError,
)

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Return how many seconds a ``Retry-After`` header asks for: it gives seconds or a date."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - now).total_seconds())


class Pacer:
    """Keeps requests apart, and repeats those that fail in passing.

    Args:
        politeness: How far apart, and how often.
        sleep: Waits for some seconds.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        politeness: Politeness,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._politeness = politeness
        self._sleep = sleep
        self._clock = clock
        self._next = clock()

    def wait(self) -> None:
        """Return when the next request may start."""
        ahead = self._next - self._clock()
        if ahead > 0:
            self._sleep(ahead)
        self._next = self._clock() + self._politeness.seconds_between_requests

    def retrying(self, attempt: Callable[[], Answer]) -> Answer:
        """Return what the attempt returns, repeating it after faults that may pass.

        Raises:
            VideoError: The fault did not pass.
            CollectionError: The site asks to wait too long, or keeps saying that it is asked
                too often.
        """
        for number in range(self._politeness.max_retries + 1):
            try:
                return attempt()
            except TryAgainError as error:
                fault = error
                if number < self._politeness.max_retries:
                    self._back_off(error, number)
        if fault.is_rate_limit:
            raise _too_often(fault, self._politeness) from None
        tries = self._politeness.max_retries + 1
        raise VideoError(fault.reason, f"{fault.detail} ({tries} attempts)") from fault

    def _back_off(self, fault: TryAgainError, number: int) -> None:
        politeness = self._politeness
        if fault.retry_after_seconds is None:
            pause = min(politeness.first_retry_seconds * 2**number, politeness.longest_wait_seconds)
        else:
            pause = fault.retry_after_seconds
            if pause > politeness.longest_wait_seconds:
                raise _too_long(pause, politeness)
        if pause >= 1:
            logger.warning("%s; waiting %.0f s", fault, pause)
        self._next = max(self._next, self._clock() + pause)


def _too_long(pause: float, politeness: Politeness) -> CollectionError:
    return CollectionError(
        f"The site asks to wait {pause:.0f} s (429 Too Many Requests with Retry-After), more than "
        f"collection.politeness.longest_wait_seconds={politeness.longest_wait_seconds:g}. Run "
        f"again after that time. {KEPT}"
    )


def _too_often(fault: TryAgainError, politeness: Politeness) -> CollectionError:
    return CollectionError(
        f"The site says that it is asked too often, even after {politeness.max_retries} pauses "
        f"({fault.detail}). Raise collection.politeness.seconds_between_requests (now "
        f"{politeness.seconds_between_requests:g}) and run again later. {KEPT}"
    )
