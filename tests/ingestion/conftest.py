"""A folder as a user has it: videos and posts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.media.encoding import ffmpeg, h264
from tests.stages.stores import stage_store
from tiktok_virality.datasets import PostMetadata, StageStore, VideoFolder
from tiktok_virality.datasets.forget_list import ForgetList
from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import StagePlan
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.media.limits import (
    ClipLimits,
    DuplicateParameters,
    HorizonParameters,
    WaveformParameters,
)
from tiktok_virality.media.motion import MotionSampling
from tiktok_virality.media.stills import StillSampling
from tiktok_virality.pipelines.ingestion.nodes import (
    build_manifest,
    decode_videos,
    extract_waveforms,
    fingerprint_videos,
    match_posts,
    probe_videos,
    views_at_horizons,
)

PICTURES = {
    "red": "testsrc2",
    "green": "mandelbrot",
    "blue": "smptehdbars",
    "white": "rgbtestsrc",
    "yellow": "cellauto=rule=110",
    "pink": "colorspectrum",
}
"""What a clip of each name shows."""


@dataclass(frozen=True)
class Corpus:
    """A raw folder, with a shelf of clips to fill it from."""

    folder: Path
    shelf: Path
    forget_list: ForgetList = field(default_factory=ForgetList)

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
        return match_posts(*self.load(), self.forget_list)

    def ingest(self, limits: ClipLimits | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Run ingestion up to the manifest, with a real stage store."""
        posts, videos = self.match(), self.load()[1]
        limits, duplicates = limits or ClipLimits(), DuplicateParameters()
        probes = self.run(probe_videos(posts, videos), "probes")
        small, stills = FrameSampling(shrink=32), StillSampling(count=2)
        decoding = decode_videos(
            probes, videos, limits, small, stills, MotionSampling(), duplicates
        )
        frames = self.run(decoding, "frames")
        hearing = extract_waveforms(probes, videos, limits, WaveformParameters())
        waveforms = self.run(hearing, "waveforms")
        fingerprints = self.run(fingerprint_videos(frames, waveforms, duplicates), "fingerprints")
        horizons = views_at_horizons(posts, None, HorizonParameters())
        return build_manifest(posts, probes, fingerprints, horizons, limits, duplicates)

    def run(self, plan: StagePlan, name: str) -> StageTable:
        """Carry out a plan, and return what is there now."""
        store = self._store(name)
        store.save(plan)
        return store.load()

    def table(self, name: str) -> StageTable:
        """Return what a stage holds."""
        return self._store(name).load()

    def _store(self, name: str) -> StageStore:
        return stage_store(self.folder / name, max_failure_share=1.0)


@pytest.fixture(scope="session")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One clip per color."""
    folder = tmp_path_factory.mktemp("shelf")
    for color, source in PICTURES.items():
        shape = f"{source}{':' if '=' in source else '='}size=72x128:rate=10"
        picture = ["-f", "lavfi", "-i", shape, "-t", "1.5"]
        ffmpeg(*picture, *h264(), folder / f"{color}.mp4")
    return folder


@pytest.fixture
def corpus(tmp_path: Path, shelf: Path) -> Corpus:
    (tmp_path / "01_raw" / "videos").mkdir(parents=True)
    return Corpus(folder=tmp_path / "01_raw", shelf=shelf)


@pytest.fixture
def reasons() -> Callable[[pd.DataFrame], dict[str, str]]:
    """Return the reason by video id of a table of rejects."""
    return lambda rejects: dict(zip(rejects["video_id"], rejects["reason"], strict=True))
