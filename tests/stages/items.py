"""Stage items of single files, and of rows as they are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tiktok_virality.execution import Absent, Outcome, StageItem, outcome_of
from tiktok_virality.media.clip import EncodedVideo
from tiktok_virality.schema import MediaError


@dataclass(frozen=True)
class AsTheyAre:
    """Stores rows as they are given: a payload is a row, or loads one.

    Attributes:
        absent: Why a clip has none, by id.
        broken: Why a clip fails, by id.
    """

    absent: Mapping[str, str] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)

    def identity(self) -> Mapping[str, Any]:
        return {}

    def setup(self) -> None:
        pass

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        return [outcome_of(item, self._pass_on) for item in items]

    def _pass_on(self, item: StageItem) -> Mapping[str, Any] | Outcome:
        if item.video_id in self.broken:
            raise MediaError(self.broken[item.video_id], "as the test says")
        if item.video_id in self.absent:
            return Absent(video_id=item.video_id, reason=self.absent[item.video_id])
        return item.payload if isinstance(item.payload, dict) else item.payload.load()


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
