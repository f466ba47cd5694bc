"""A folder as a user has it: videos and posts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.media.encoding import ffmpeg, h264, picture
from tiktok_virality.datasets import PostMetadata, StageStore, VideoFolder
from tiktok_virality.media.limits import ClipLimits
from tiktok_virality.pipelines.ingestion.nodes import build_manifest, match_posts, probe_videos

COLORS = ("red", "green", "blue", "white", "yellow", "pink")


@dataclass(frozen=True)
class Corpus:
    """A raw folder, with a shelf of clips to fill it from."""

    folder: Path
    shelf: Path

    @property
    def videos(self) -> Path:
        return self.folder / "videos"

    def add(self, name: str, color: str = "red") -> Path:
        """Put a clip of 1.5 s there; clips of one color have the same content."""
        path = self.videos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.shelf / f"{color}.mp4", path)
        return path

    def describe(self, *posts: dict[str, Any]) -> None:
        (self.folder / "metadata.json").write_text(json.dumps(posts))

    def load(self) -> tuple[pd.DataFrame, Any]:
        metadata = PostMetadata(filepath=str(self.folder)).load()
        return metadata, VideoFolder(filepath=str(self.videos)).load()

    def match(self) -> pd.DataFrame:
        return match_posts(*self.load())

    def ingest(self, limits: ClipLimits | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Run ingestion up to the manifest, with a real stage store."""
        posts = self.match()
        store = StageStore(
            filepath=str(self.folder / "probes"),
            engine={"type": "local", "workers": 1},
            max_failure_share=1.0,
        )
        store.save(probe_videos(posts, self.load()[1]))
        return build_manifest(posts, store.load(), limits or ClipLimits())


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip per color."""
    folder = tmp_path_factory.mktemp("shelf")
    for index, color in enumerate(COLORS):
        hue = f"hue=h={50 * index}"
        ffmpeg(*picture(1.5, "72x128", 10), "-vf", hue, *h264(), folder / f"{color}.mp4")
    return folder


@pytest.fixture
def corpus(tmp_path: Path, shelf: Path) -> Corpus:
    (tmp_path / "01_raw" / "videos").mkdir(parents=True)
    return Corpus(folder=tmp_path / "01_raw", shelf=shelf)


@pytest.fixture
def reasons() -> Callable[[pd.DataFrame], dict[str, str]]:
    """Return the reason by video id of a table of rejects."""
    return lambda rejects: dict(zip(rejects["video_id"], rejects["reason"], strict=True))
