"""Reading what a post says: counts, moments, creators, hashtags, and which file is meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

import pandas as pd

from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.pipelines.ingestion.manifest import MAX_VIEWS

COUNT: Final = re.compile(r"(\d+|\d{1,3}(?:,\d{3})+)(\.\d+)?\s*([KMB]?)", re.IGNORECASE)
MULTIPLIERS: Final = {"": 1, "K": 1_000, "M": 1_000_000, "B": 1_000_000_000}
CREATOR_IN_URL: Final = re.compile(r"/@([^/?#]+)")
HASHTAG: Final = re.compile(r"#(\w+)")
TIKTOK_ID_DIGITS: Final = 19
SECONDS_SHIFT: Final = 32
"""The upper half of a 64-bit video id is the second in which it was made."""


class CountError(ValueError):
    """A view count that cannot be taken at its word."""


def parse_count(text: str | None) -> int:
    """Read a view count such as ``"21.1M"``, ``"541.2K"``, ``"1,234"`` or ``"3384"``.

    Raises:
        CountError: It is missing, negative, no whole number, too large to be true, or not a count.
    """
    if text is None:
        raise CountError("there is no view count")
    match = COUNT.fullmatch(text.strip())
    if match is None:
        kind = "negative" if re.fullmatch(r"-\s*[\d.,]+.*", text.strip()) else "unreadable"
        raise CountError(f"the view count {text!r} is {kind}")
    whole, fraction, suffix = match.groups()
    digits = whole.replace(",", "") + (fraction or "")
    count = Decimal(digits) * MULTIPLIERS[suffix.upper()]
    if count != count.to_integral_value():
        raise CountError(f"the view count {text!r} is no whole number")
    if count > MAX_VIEWS:
        raise CountError(f"the view count {text!r} is more than any video has")
    return int(count)


def parse_moment(text: str | None) -> pd.Timestamp | None:
    """Read a moment: seconds or milliseconds since 1970, ``YYYYMMDD``, or an ISO date and time.

    Returns:
        The moment in UTC; ``None`` where there is none, or none that can be read.
    """
    if text is None:
        return None
    number = re.fullmatch(r"(\d{8}|\d{9,10}|\d{13})(?:\.\d+)?", text)
    if number is None:
        moment = pd.to_datetime(text, utc=True, errors="coerce")
    elif len(number[1]) == len("YYYYMMDD"):
        moment = pd.to_datetime(number[1], format="%Y%m%d", utc=True, errors="coerce")
    else:
        seconds = int(number[1]) / (1000 if len(number[1]) == len("1700000000000") else 1)
        moment = pd.Timestamp(datetime.fromtimestamp(seconds, tz=UTC))
    return None if pd.isna(moment) else moment


def moment_in_id(post_id: str | None) -> pd.Timestamp | None:
    """Return the moment of posting that a 19-digit id holds; other ids hold none."""
    if post_id is None or not re.fullmatch(rf"[1-9]\d{{{TIKTOK_ID_DIGITS - 1}}}", post_id):
        return None
    return pd.Timestamp(datetime.fromtimestamp(int(post_id) >> SECONDS_SHIFT, tz=UTC))


def creator_in_url(url: str | None) -> str | None:
    """Return the creator's name from an address such as ``https://.../@name/video/7106``."""
    match = CREATOR_IN_URL.search(url) if url else None
    return unquote(match[1]) if match else None


def parse_hashtags(hashtags: str | None, caption: str | None) -> str:
    """Return hashtags, lower case, without ``#``, separated by spaces; from the caption if need be.

    ``hashtags`` may separate words by spaces or commas.
    """
    words = re.split(r"[\s,]+", hashtags) if hashtags else HASHTAG.findall(caption or "")
    return " ".join(dict.fromkeys(word.strip("#").lower() for word in words if word.strip("#")))


class FileFinder:
    """Finds the video that a post means.

    Args:
        videos: The files there are.
    """

    def __init__(self, videos: VideoFiles) -> None:
        self._by_path: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = {}
        for video_id, video in videos.items():
            relative = _normal(video.path.relative_to(videos.folder).as_posix())
            self._by_path[relative] = video_id
            self._by_path.setdefault(str(PurePosixPath(relative).with_suffix("")), video_id)
            self._by_name.setdefault(video_id.rpartition("/")[2], []).append(video_id)
        self._videos = videos

    def find(self, post_id: str | None, file: str | None) -> str | None:
        """Return the id of the video, or ``None``.

        A file that the post names goes first, then the file whose path is the post's id, then the
        only file with that name in any folder.
        """
        for hint in _endings(file):
            if hint in self._by_path:
                return self._by_path[hint]
        for name in _spellings(post_id):
            if name in self._videos:
                return name
            if len(self._by_name.get(name, ())) == 1:
                return self._by_name[name][0]
        return None


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _endings(file: str | None) -> Iterator[str]:
    """Yield a path, and again without its first, second, ... folder."""
    parts = PurePosixPath(_normal(file.replace("\\", "/"))).parts if file else ()
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def _spellings(post_id: str | None) -> Iterable[str]:
    return () if post_id is None else (_normal(post_id), _normal(unquote(post_id)))


def parse_post(raw: Mapping[str, str | None]) -> dict[str, object]:
    """Return what one raw post says, typed; ``views`` is not among it.

    Args:
        raw: The columns of the raw table, each text or ``None``.
    """
    posted_at = parse_moment(raw["posted_at"]) or moment_in_id(raw["id"])
    return {
        "url": raw["url"],
        "creator_id": raw["creator"] or creator_in_url(raw["url"]),
        "posted_at": posted_at,
        "captured_at": parse_moment(raw["captured_at"]),
        "caption": raw["caption"],
        "hashtags": parse_hashtags(raw["hashtags"], raw["caption"]),
    }
