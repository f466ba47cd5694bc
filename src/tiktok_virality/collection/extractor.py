"""yt-dlp with the manners and the page reading of this project."""

from __future__ import annotations

import io
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from yt_dlp import YoutubeDL
from yt_dlp.extractor import tiktok
from yt_dlp.networking.exceptions import HTTPError, RequestError, TransportError

from tiktok_virality.collection import page_state
from tiktok_virality.collection.config import CollectionParameters, SiteAccess
from tiktok_virality.collection.errors import TryAgainError, VideoError, captcha_met
from tiktok_virality.collection.pacing import Pacer, parse_retry_after
from tiktok_virality.schema import ParameterError

logger = logging.getLogger(__name__)

TOO_MANY_REQUESTS: Final = 429
FORBIDDEN: Final = 403
GONE: Final = frozenset({404, 410})
RANGE_BEYOND_END: Final = 416
SERVER_FAULTS: Final = 500
COOKIE_TABS: Final = 6
"""In a line of a cookies file."""


class TikTokIE(tiktok.TikTokIE):  # yt-dlp takes the names of extractors from their classes
    """yt-dlp's own extractor, for any host, with errors that say what the page lacks.

    Args:
        parameters: Where the site is.
    """

    _VALID_URL = r"https?://[^/]+/@(?P<user_id>[\w.-]*)/video/(?P<id>\d+)"
    _EMBED_REGEX: tuple[str, ...] = ()

    def __init__(self, parameters: CollectionParameters) -> None:
        super().__init__()
        self._parameters = parameters

    def _create_url(self, user_id: str | None, video_id: str) -> str:
        return self._parameters.video_url(video_id)

    def _get_universal_data(self, webpage: str, display_id: str) -> dict[str, Any]:
        if page_state.is_captcha(webpage):
            raise captcha_met("a video")
        if page_state.is_challenge(webpage):
            return {}
        return page_state.video_scope(webpage, display_id)

    def _parse_aweme_video_web(
        self, aweme_detail: dict[str, Any], webpage_url: str, video_id: str, **options: Any
    ) -> dict[str, Any]:
        info = super()._parse_aweme_video_web(aweme_detail, webpage_url, video_id, **options)
        info["tags"] = page_state.hashtags(aweme_detail)
        info["original_sound"] = page_state.is_original_sound(aweme_detail)
        return info


class PoliteYoutubeDL(YoutubeDL):
    """yt-dlp that keeps its requests apart and names the faults of their answers.

    Args:
        options: yt-dlp's.
        pacer: Says when the next request may start.
    """

    def __init__(self, options: dict[str, Any], pacer: Pacer, access: SiteAccess) -> None:
        super().__init__(options, auto_init=False)
        self._pacer = pacer
        self._access = access

    def urlopen(self, request: Any) -> Any:
        """Send a request when its time has come.

        Raises:
            TryAgainError: The fault may pass.
            VideoError: It will not.
        """
        self._pacer.wait()
        try:
            return super().urlopen(request)
        except HTTPError as error:
            if error.status == RANGE_BEYOND_END:  # yt-dlp knows what to do
                raise
            raise _named(error) from error
        except TransportError as error:
            raise TryAgainError("unreachable", self._access.conceal(str(error))) from error
        except RequestError as error:
            raise VideoError("unreachable", self._access.conceal(str(error))) from error


class YtDlpLog:
    """Passes on yt-dlp's warnings, each once; its errors are raised anyway."""

    def __init__(self, access: SiteAccess) -> None:
        self._access = access
        self._said: set[str] = set()

    def debug(self, message: str) -> None:
        """Note what yt-dlp does."""
        logger.debug("yt-dlp: %s", self._access.conceal(message))

    error = debug

    def warning(self, message: str) -> None:
        """Pass on a warning that was not yet given."""
        if message not in self._said:
            self._said.add(message)
            logger.warning("yt-dlp: %s", self._access.conceal(message))


def open_downloader(
    parameters: CollectionParameters, access: SiteAccess, folder: Path, pacer: Pacer
) -> PoliteYoutubeDL:
    """Return yt-dlp, set up to leave whole files in a folder and nothing else anywhere.

    Raises:
        ParameterError: The cookies file cannot be used.
    """
    limits = parameters.limits
    options = {
        "outtmpl": {"default": "%(id)s.%(format_id)s.%(ext)s"},
        "paths": {"home": str(folder)},
        "format": limits.format,
        "ratelimit": parameters.politeness.bytes_per_second,
        "socket_timeout": limits.stall_seconds,
        "buffersize": 16,  # grows at once; a slow drip is noticed after so many bytes
        "retries": 0,  # the pacer repeats, and heeds Retry-After
        "extractor_retries": 0,
        "proxy": access.proxy_address,
        "cookiefile": read_cookies(access.cookies_file),
        "cachedir": False,
        "fixup": "never",
        "updatetime": False,
        "noprogress": True,
        "quiet": True,
        "logger": YtDlpLog(access),
    }
    downloader = PoliteYoutubeDL(options, pacer, access)
    downloader.add_info_extractor(TikTokIE(parameters))
    return downloader


def read_cookies(path: Path | None) -> io.StringIO | None:
    """Return a copy of a cookies file: yt-dlp writes back what it is given.

    Raises:
        ParameterError: There is no such file, or it is not in Netscape's format.
    """
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(
            f"The credential cookies_file={path} cannot be read: {error}"
        ) from None
    if not text.startswith(("# Netscape HTTP Cookie File", "# HTTP Cookie File")):
        raise ParameterError(
            f"The credential cookies_file={path} is not in Netscape's format: its first line must "
            "be '# Netscape HTTP Cookie File'. Export the cookies again in that format."
        )
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.removeprefix("#HttpOnly_")
        if words.strip() and not words.startswith("#") and words.count("\t") != COOKIE_TABS:
            raise ParameterError(  # yt-dlp would print the line, and with it the cookie
                f"The credential cookies_file={path} is not in Netscape's format: line {number} "
                f"has no {COOKIE_TABS + 1} fields divided by tabs. Export the cookies again."
            )
    return io.StringIO(text)


def _named(error: HTTPError) -> TryAgainError | VideoError:
    """Return the project's error for an answer of the site."""
    status = f"status {error.status} {error.reason}".strip()
    if error.redirect_loop:
        return VideoError("redirect loop", f"{status}: the site redirects in a circle")
    if error.status == FORBIDDEN:
        return VideoError("forbidden", status)
    if error.status in GONE:
        return VideoError("deleted", status, is_final=True)
    if error.status == TOO_MANY_REQUESTS or error.status >= SERVER_FAULTS:
        return TryAgainError(
            "unreachable",
            status,
            retry_after_seconds=parse_retry_after(
                error.response.headers.get("Retry-After"), datetime.now(UTC)
            ),
            is_rate_limit=error.status == TOO_MANY_REQUESTS,
        )
    return VideoError("unreachable", status)
