"""What the site's pages look like: links, embedded state, and how to tell other pages from them.

All that breaks when the site changes is here. A page carries its data as JSON in a script element:
``__UNIVERSAL_DATA_FOR_REHYDRATION__`` today, ``SIGI_STATE`` before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tiktok_virality.collection.errors import LayoutError, VideoError

UNIVERSAL: Final = "__UNIVERSAL_DATA_FOR_REHYDRATION__"
SIGI: Final = ("SIGI_STATE", "sigi-persisted-data")
SCOPE: Final = "__DEFAULT_SCOPE__"
VIDEO_DETAIL: Final = "webapp.video-detail"
HASHTAG_DETAIL: Final = "webapp.challenge-detail"

LINK_SELECTOR: Final = 'a[href*="/video/"]'
VIDEO_LINK: Final = re.compile(r"/@[\w.-]*/video/(\d+)")

CAPTCHA_SELECTOR: Final = (
    "#captcha-verify-container, .captcha-verify-container, .captcha_verify_container, "
    "#captcha_container, .captcha-disable-scroll"
)
CAPTCHA: Final = re.compile(
    r"""<[a-z][^>]*\b(?:id|class)=["'][^"']*\bcaptcha[-_](?:verify|container|disable)""", re.I
)
CHALLENGE: Final = re.compile(r"""<[a-z][^>]*\bid=["']?(?:cs|wci)\b""")
"""A page that wants a small computation first; yt-dlp does it."""

CONSENT_SCRIPT: Final = """
    const banner = document.querySelector('tiktok-cookie-banner');
    if (!banner) return null;
    const buttons = [...(banner.shadowRoot || banner).querySelectorAll('button')];
    const wanted = buttons.find(b => /decline|reject|necessary/i.test(b.textContent)) || buttons[0];
    return wanted || null;
"""
"""Returns the button of the cookie dialog that declines, or nothing where there is no dialog."""

REMOVED: Final = frozenset({10204, 10231, 10238})
PRIVATE: Final = frozenset({10216, 10222})
NO_SUCH_HASHTAG: Final = frozenset({10205, 10221})


def video_ids(addresses: Iterable[str]) -> list[str]:
    """Return the ids of the videos among some addresses, each once, in order."""
    matches = (VIDEO_LINK.search(address) for address in addresses)
    return list(dict.fromkeys(match[1] for match in matches if match))


def is_captcha(page: str) -> bool:
    """Tell whether a page wants a person to solve a puzzle."""
    return CAPTCHA.search(page) is not None


def is_challenge(page: str) -> bool:
    """Tell whether a page wants a small computation before it shows anything."""
    return _script(page, UNIVERSAL) is None and CHALLENGE.search(page) is not None


def video_scope(page: str, video_id: str) -> dict[str, Any]:
    """Return a video page's state in today's layout, whichever layout it has.

    Returns:
        ``{"webapp.video-detail": {"statusCode": 0, "itemInfo": {"itemStruct": {...}}}}`` with all
        that a record needs in the innermost mapping.

    Raises:
        VideoError: There is no such video for the public: removed, private, or no video at all.
        LayoutError: A key is missing; the detail names it.
    """
    status, item = _video_item(page, video_id)
    _check_public(status)
    if item is None:
        raise LayoutError(f"{VIDEO_DETAIL} has no itemInfo.itemStruct")
    if item.get("imagePost"):
        raise VideoError("no video", "the post shows pictures", is_final=True)
    _check_item(item)
    return {VIDEO_DETAIL: {"statusCode": 0, "itemInfo": {"itemStruct": item}}}


def hashtag_video_count(page: str, hashtag: str) -> int:
    """Return how many videos a hashtag's page says there are; 0 for an unknown hashtag.

    Raises:
        LayoutError: A key is missing; the detail names it.
    """
    scope = _scope(page, f"the page of #{hashtag}")
    detail = _get(scope, HASHTAG_DETAIL, SCOPE)
    if detail.get("statusCode", 0) in NO_SUCH_HASHTAG:
        return 0
    info = _get(detail, "challengeInfo", HASHTAG_DETAIL)
    stats = _get(info, "stats", f"{HASHTAG_DETAIL}.challengeInfo")
    if "videoCount" not in stats:
        raise LayoutError(f"{HASHTAG_DETAIL}.challengeInfo.stats has no videoCount")
    return int(stats["videoCount"])


def hashtags(item: Mapping[str, Any]) -> list[str]:
    """Return the hashtags of a video, without ``#``, from its state."""
    named = [challenge.get("title") for challenge in item.get("challenges") or ()]
    named += [extra.get("hashtagName") for extra in item.get("textExtra") or ()]
    return list(dict.fromkeys(name for name in named if name))


def is_original_sound(item: Mapping[str, Any]) -> bool:
    """Tell whether a video's sound is its creator's own, and so named after the creator."""
    music = item.get("music")
    return bool(isinstance(music, Mapping) and music.get("original"))


def _video_item(page: str, video_id: str) -> tuple[int, dict[str, Any] | None]:
    """Return status and item of a video page in either layout."""
    if _script(page, UNIVERSAL) is None and any(_script(page, name) for name in SIGI):
        return _sigi_item(page, video_id)
    scope = _scope(page, "the video's page")
    detail = _get(scope, VIDEO_DETAIL, SCOPE)
    status = int(detail.get("statusCode") or 0)
    if status:
        return status, None
    info = _get(detail, "itemInfo", VIDEO_DETAIL)
    return status, _get(info, "itemStruct", f"{VIDEO_DETAIL}.itemInfo")


def _sigi_item(page: str, video_id: str) -> tuple[int, dict[str, Any] | None]:
    name = next(name for name in SIGI if _script(page, name))
    state = _parse(_script(page, name) or "", name)
    status = int((state.get("VideoPage") or {}).get("statusCode") or 0)
    if status:
        return status, None
    items = _get(state, "ItemModule", name)
    return status, _get(items, video_id, f"{name}.ItemModule")


def _check_public(status: int) -> None:
    if status in REMOVED:
        detail = f"status {status}: removed, or not shown to this address"
        raise VideoError("deleted", detail, is_final=True)
    if status in PRIVATE:
        raise VideoError(
            "private", f"status {status}: the video or its account is private", is_final=True
        )
    if status:
        raise VideoError("not available", f"status {status}")


def _check_item(item: Mapping[str, Any]) -> None:
    where = f"{VIDEO_DETAIL}.itemInfo.itemStruct"
    for key in ("id", "desc", "createTime", "author", "stats", "video"):
        if item.get(key) is None:
            raise LayoutError(f"{where} has no {key}")
    if item["stats"].get("playCount") is None:
        raise LayoutError(f"{where}.stats has no playCount")
    author = item["author"]
    if not isinstance(author, str) and not author.get("uniqueId"):
        raise LayoutError(f"{where}.author has no uniqueId")
    if not item["video"].get("playAddr") and not item["video"].get("bitrateInfo"):
        raise LayoutError(f"{where}.video has neither playAddr nor bitrateInfo")


def _scope(page: str, what: str) -> dict[str, Any]:
    text = _script(page, UNIVERSAL)
    if text is None:
        raise LayoutError(f"{what} has no script element {UNIVERSAL}")
    return _get(_parse(text, UNIVERSAL), SCOPE, UNIVERSAL)


def _script(page: str, name: str) -> str | None:
    """Return the text of a script element."""
    pattern = rf"""<script[^>]*\bid=["']{re.escape(name)}["'][^>]*>(.*?)</script>"""
    match = re.search(pattern, page, re.DOTALL)
    return match[1] if match else None


def _parse(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise LayoutError(f"{where} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise LayoutError(f"{where} is no object")
    return value


def _get(mapping: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    value = mapping.get(key)
    if not isinstance(value, dict):
        found = ", ".join(sorted(mapping)[:8]) or "nothing"
        raise LayoutError(f"{where} has no {key} (found: {found})")
    return value
