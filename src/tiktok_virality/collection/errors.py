"""What can go wrong with one video, and what ends a collection."""

from __future__ import annotations

from typing import Final

from tiktok_virality.schema import ProjectError

KEPT: Final = "What is finished is kept; run the same command again and it goes on from there."


class CollectionError(ProjectError):
    """Going on makes no sense: the site refuses, has changed, or a tool is missing."""


class VideoError(ProjectError):
    """One video cannot be had; the others go on.

    Attributes:
        reason: A short, fixed phrase that tables count by, such as ``"private"``.
        detail: What exactly was found.
        is_final: Whether asking again is useless.
    """

    def __init__(self, reason: str, detail: str, *, is_final: bool = False) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.is_final = is_final


class LayoutError(VideoError):
    """A page does not hold what it is known to hold; the detail names the missing key."""

    def __init__(self, detail: str) -> None:
        super().__init__("changed layout", detail)


class TryAgainError(ProjectError):
    """A fault that may pass: the request is worth repeating.

    Attributes:
        reason: As of a `VideoError`, if it does not pass.
        detail: What exactly happened.
        retry_after_seconds: How long the site asks to wait, if it says so.
        is_rate_limit: Whether the site says that it is asked too often.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        retry_after_seconds: float | None = None,
        is_rate_limit: bool = False,
    ) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.retry_after_seconds = retry_after_seconds
        self.is_rate_limit = is_rate_limit


def captcha_met(where: str) -> CollectionError:
    """Return the error for a page that wants a person."""
    return CollectionError(
        f"The site shows a captcha instead of {where}, so it takes this collection for a robot, "
        "rightly. Wait some hours, raise collection.politeness.seconds_between_requests, or solve "
        "it in your own browser and give the cookies of that browser as cookies_file in the "
        f"credentials. {KEPT}"
    )


def site_forbids(where: str) -> CollectionError:
    """Return the error for a page that is refused with status 403."""
    return CollectionError(
        f"The site answers 403 Forbidden for {where}: it refuses this address. Open the page in a "
        "browser from the same network; wait, ask for access, or set a proxy or cookies_file in "
        f"the credentials where you may use one. {KEPT}"
    )


def layout_changed(detail: str) -> CollectionError:
    """Return the error for pages that have another layout than the known one."""
    return CollectionError(
        f"The site's pages have changed: {detail}. Update yt-dlp (pip install -U yt-dlp) and "
        f"correct src/tiktok_virality/collection/page_state.py. {KEPT}"
    )
