"""Stage items of single files."""

from __future__ import annotations

from pathlib import Path

from tiktok_virality.execution import StageItem
from tiktok_virality.media.clip import EncodedVideo


def item_of(path: Path) -> StageItem:
    """Return the item of a video file, named after its stem."""
    status = path.stat()
    video = EncodedVideo(
        video_id=path.stem,
        path=path,
        size_bytes=status.st_size,
        modified_ns=status.st_mtime_ns,
    )
    return StageItem(video_id=video.video_id, digest=video.digest, payload=video)
