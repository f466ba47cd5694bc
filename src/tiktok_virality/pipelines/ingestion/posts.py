"""Reading what a post says: moments, creators, hashtags, and which file is meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import unquote

import pandas as pd

from tiktok_virality.addresses import creator_in_url, plain_creator
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.pipelines.ingestion.columns import MOMENT
from tiktok_virality.pipelines.ingestion.counts import parse_counts
from tiktok_virality.storage import below

HASHTAG: Final = re.compile(r"#(\w+)")
TIKTOK_ID_DIGITS: Final = 19
SECONDS_SHIFT: Final = 32
REACTIONS: Final = ("likes", "comments", "shares")
"""Counts that a source may give beside the views; one that cannot be read is missing."""

EARLIEST: Final = pd.Timestamp("2014-01-01", tz="UTC")
"""No short video of the platforms that give such ids is older; a time before it is a mistake."""

ONE_DAY: Final = pd.Timedelta(days=1)
"""A capture may be noted as a date alone, which is the first moment of its day."""


def parse_moments(texts: pd.Series) -> pd.Series:
    """Read moments: seconds or milliseconds since 1970, ``YYYYMMDD``, or an ISO date and time.

    Args:
        texts: What a source says, text or missing.

    Returns:
        Moments in UTC; missing where there is none, or none that can be read. ``01/02/2022`` and
        its like are not read: they mean one day here and another one there.
    """
    number = texts.str.extract(r"^(\d{8}|\d{9,10}|\d{13})(?:\.\d+)?$")[0]
    digits = number.str.len()
    seconds = number.where(digits.isin([9, 10])).astype("Int64")
    milliseconds = number.where(digits == 13).astype("Int64")
    others = texts.where(number.isna() & texts.str.match(r"\d{4}-\d{2}"))
    readings = (
        pd.to_datetime(seconds, unit="s", utc=True, errors="coerce"),
        pd.to_datetime(milliseconds, unit="ms", utc=True, errors="coerce"),
        pd.to_datetime(number.where(digits == 8), format="%Y%m%d", utc=True, errors="coerce"),
        pd.to_datetime(others, format="ISO8601", utc=True, errors="coerce"),
    )
    moments = pd.Series(pd.NaT, index=texts.index, dtype=MOMENT)
    for reading in readings:
        moments = moments.fillna(reading.astype(MOMENT))
    return moments


def moments_in_ids(ids: pd.Series) -> pd.Series:
    """Return the moments of posting that 19-digit ids hold; other ids hold none.

    The upper 32 of the 64 bits of such an id are the second in which it was made.
    """
    long = ids.where(ids.str.fullmatch(rf"[1-9]\d{{{TIKTOK_ID_DIGITS - 1}}}").fillna(False))
    seconds = [pd.NA if pd.isna(text) else int(text) >> SECONDS_SHIFT for text in long]
    as_numbers = pd.Series(seconds, index=ids.index, dtype="Int64")
    return pd.to_datetime(as_numbers, unit="s", utc=True, errors="coerce").astype(MOMENT)


def posting_times(raw: pd.DataFrame, captured_at: pd.Series, read_at: pd.Timestamp) -> pd.DataFrame:
    """Say when each post was made: as its source says, else as its id says, else not at all.

    A time before 2014, or after the capture, is not taken; nor is one after ``read_at`` where the
    capture is not known.

    Args:
        raw: ``id`` and ``posted_at``, text or missing.
        captured_at: When each was captured, or missing.
        read_at: Now.

    Returns:
        ``posted_at``; ``posted_at_from``, ``source`` or ``id``; and ``posted_at_fault``, why a time
        that was given is not taken. Each may be missing.
    """
    latest = captured_at.fillna(read_at) + ONE_DAY
    end = captured_at.notna().map({True: "its capture", False: "today"}).astype("str")
    found = pd.DataFrame(
        {
            "posted_at": pd.Series(pd.NaT, index=raw.index, dtype=MOMENT),
            "posted_at_from": pd.Series(pd.NA, index=raw.index, dtype="str"),
            "posted_at_fault": pd.Series(pd.NA, index=raw.index, dtype="str"),
        }
    )
    unread = raw["posted_at"].notna() & parse_moments(raw["posted_at"]).isna()
    quoted = raw["posted_at"].map(repr, na_action="ignore").astype("str")
    found.loc[unread, "posted_at_fault"] = "the time of posting " + quoted + " is unreadable"
    sources = (("source", parse_moments(raw["posted_at"])), ("id", moments_in_ids(raw["id"])))
    for name, moments in sources:
        wanted = found["posted_at"].isna() & moments.notna()
        good = wanted & moments.between(EARLIEST, latest)
        found.loc[good, "posted_at"] = moments
        found.loc[good, "posted_at_from"] = name
        early, late = wanted & (moments < EARLIEST), wanted & (moments > latest)
        day = moments.dt.strftime("%Y-%m-%d")
        for bad, why in ((early, f"before {EARLIEST:%Y}"), (late, "after " + end)):
            said = f"the time in the {name}, " + day + ", is " + why
            found["posted_at_fault"] = found["posted_at_fault"].mask(
                bad & found["posted_at_fault"].isna(), said
            )
    return found


def parse_hashtags(hashtags: str | None, caption: str | None) -> str:
    """Return hashtags, lower case, without ``#``, separated by spaces; from the caption if need be.

    ``hashtags`` may separate words by spaces or commas.
    """
    words = re.split(r"[\s,]+", hashtags) if hashtags else HASHTAG.findall(caption or "")
    return " ".join(dict.fromkeys(word.strip("#").lower() for word in words if word.strip("#")))


def parse_posts(raw: pd.DataFrame, read_at: pd.Timestamp) -> pd.DataFrame:
    """Return what raw posts say, typed.

    Args:
        raw: The columns of a raw table, each text or missing.
        read_at: Now: nothing was posted later.

    Returns:
        ``views`` with ``fault``, what is wrong with a count that could not be read; ``likes``,
        ``comments``, ``shares``; ``url``, ``creator_id``, ``topic``, ``caption``, ``hashtags``;
        ``captured_at``; and the columns of `posting_times`.
    """
    counted = parse_counts(raw["views"])
    captured_at = parse_moments(raw["captured_at"])
    texts = raw[["hashtags", "caption"]].astype("object").where(raw.notna(), None)
    hashtags = [parse_hashtags(*pair) for pair in texts.itertuples(index=False, name=None)]
    return pd.DataFrame(
        {
            "views": counted["count"],
            "fault": counted["fault"],
            **{name: parse_counts(raw[name])["count"] for name in REACTIONS},
            **{name: raw[name] for name in ("url", "topic", "caption")},
            "creator_id": creators(raw),
            "hashtags": pd.Series(hashtags, index=raw.index, dtype="str"),
            "captured_at": captured_at,
            **posting_times(raw, captured_at, read_at),
        }
    )


def creators(raw: pd.DataFrame) -> pd.Series:
    """Return who made each post, as names are compared: by its source, else by its address."""
    by_address = raw["url"].map(creator_in_url, na_action="ignore").astype("str")
    said, addressed = (
        texts.map(plain_creator, na_action="ignore").astype("str")
        for texts in (raw["creator"], by_address)
    )
    return said.mask(said == "").fillna(addressed.mask(addressed == ""))


class FileFinder:
    """Finds the video that a post means.

    Args:
        videos: The files there are.
    """

    def __init__(self, videos: VideoFiles) -> None:
        self._by_path: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = {}
        for video_id, video in videos.items():
            relative = _normal(below(video.path, videos.folder).as_posix())
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
