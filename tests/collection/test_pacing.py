"""Requests keep their distance, and a site's wish to wait is heeded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tiktok_virality.collection.config import Politeness
from tiktok_virality.collection.errors import CollectionError, TryAgainError, VideoError
from tiktok_virality.collection.pacing import Pacer, parse_retry_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(round(seconds, 3))
        self.now += seconds


def pacer_of(clock: Clock, **politeness: float) -> Pacer:
    return Pacer(Politeness(**politeness), sleep=clock.sleep, clock=clock)


def failing(pacer: Pacer, *faults: TryAgainError):
    left = list(faults)

    def attempt() -> str:
        pacer.wait()
        if left:
            raise left.pop(0)
        return "answer"

    return attempt


def test_requests_start_so_many_seconds_apart():
    clock = Clock()
    pacer = pacer_of(clock, seconds_between_requests=5)
    for work in (0, 2, 9):
        pacer.wait()
        clock.now += work
    pacer.wait()
    assert clock.waits == [5, 3]


def test_waits_double_and_a_retry_after_goes_first():
    clock = Clock()
    pacer = pacer_of(clock, seconds_between_requests=0, first_retry_seconds=10)
    fault = TryAgainError("unreachable", "status 503")
    asked = TryAgainError("unreachable", "status 429", retry_after_seconds=77, is_rate_limit=True)
    assert pacer.retrying(failing(pacer, fault, asked, fault)) == "answer"
    assert clock.waits == [10, 77, 40]


def test_a_fault_that_does_not_pass_is_one_of_the_video():
    pacer = pacer_of(Clock(), max_retries=2)
    fault = TryAgainError("unreachable", "status 503")
    with pytest.raises(VideoError, match=r"unreachable: status 503 \(3 attempts\)"):
        pacer.retrying(failing(pacer, *[fault] * 3))


def test_a_wish_to_wait_too_long_ends_the_run():
    pacer = pacer_of(Clock(), longest_wait_seconds=60)
    fault = TryAgainError("unreachable", "", retry_after_seconds=3600, is_rate_limit=True)
    with pytest.raises(CollectionError, match=r"asks to wait 3600 s.*longest_wait_seconds=60"):
        pacer.retrying(failing(pacer, fault))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("Thu, 01 Jan 2026 00:01:30 GMT", 90),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("soon", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert parse_retry_after(text, NOW) == seconds
