"""What is kept of what yt-dlp found out: the record beside a video, and its counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from tiktok_virality.collection.creators import CreatorNames
from tiktok_virality.collection.ledger import CountSnapshot, FoundVideo, moment

KEPT_FIELDS: Final = (
    *("id", "extractor", "extractor_key", "webpage_url", "timestamp", "upload_date"),
    *("duration", "view_count", "like_count", "comment_count", "repost_count", "save_count"),
    *("tags", "track", "artists", "album", "original_sound"),
    *("ext", "format_id", "width", "height", "vcodec", "acodec", "filesize", "tbr", "epoch"),
)
"""Fields of yt-dlp that name nobody; the others hold names, cookies or addresses that expire."""

ORIGINAL_SOUND: Final = "original sound"


def video_record(
    info: Mapping[str, Any], found: FoundVideo, captured_at: datetime, names: CreatorNames
) -> dict[str, Any]:
    """Return the ``.info.json`` of a video: yt-dlp's fields, and how it was found.

    Args:
        info: yt-dlp's, after the download.
        found: Adds ``topic`` and ``hashtag``.
        captured_at: Adds ``capture_time``.
        names: How the creator and those who are mentioned are written.
    """
    record = {"_type": "video"}
    record |= {key: info[key] for key in KEPT_FIELDS if info.get(key) is not None}
    for key in ("title", "description"):
        record[key] = names.write_text(info.get(key) or "")
    record["uploader"] = names.write(info["uploader"])
    if names.keep:
        kept = ("uploader_id", "uploader_url", "channel", "channel_id", "channel_url")
        record |= {key: info[key] for key in kept if info.get(key) is not None}
    elif info.get("original_sound"):  # is named after its creator
        record.pop("artists", None)
        record["track"] = ORIGINAL_SOUND
    return record | {
        "topic": found.topic,
        "hashtag": found.hashtag,
        "capture_time": moment(captured_at),
    }


def count_snapshot(info: Mapping[str, Any], captured_at: datetime) -> CountSnapshot:
    """Return the counts in what yt-dlp found out."""
    return CountSnapshot(
        video_id=info["id"],
        captured_at=moment(captured_at),
        views=info["view_count"],
        likes=info.get("like_count"),
        comments=info.get("comment_count"),
        shares=info.get("repost_count"),
    )
