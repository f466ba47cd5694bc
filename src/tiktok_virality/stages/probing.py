"""The probing stage: what each video file holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.media.clip import EncodedVideo, VideoFiles
from tiktok_virality.media.probe import probe_video


def video_items(
    videos: VideoFiles,
    ids: Iterable[str] | None = None,
    digests: Mapping[str, str] | None = None,
) -> list[StageItem]:
    """Return one item per video; the payload is its `EncodedVideo`.

    Args:
        videos: Where the files are.
        ids: Which to take, in this order; ``None`` takes all.
        digests: What tells one content from another, by id, such as the manifest's
            ``content_hash``; ``None`` goes by size and time of writing.

    Raises:
        KeyError: There is no file of that id.
    """
    return [
        StageItem(
            video_id=video_id,
            digest=videos[video_id].digest if digests is None else digests[video_id],
            payload=videos[video_id],
        )
        for video_id in (videos if ids is None else ids)
    ]


@dataclass(frozen=True)
class ProbeVideos:
    """Reads each file once; the columns are those of `VideoProbe`."""

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {"version": 3}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Probe a batch; a file that is no video fails alone."""
        return [outcome_of(item, _probe) for item in items]


def _probe(item: StageItem) -> dict[str, Any]:
    video: EncodedVideo = item.payload
    return asdict(probe_video(video.file))
