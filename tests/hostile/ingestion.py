"""Ingestion of hostile clips as a run does it, watched: how long each clip takes, and how much."""

from __future__ import annotations

import resource
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from tiktok_virality.datasets import PostMetadata, StageStore, VideoFolder
from tiktok_virality.datasets.forget_list import ForgetList
from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import Outcome, StageItem, StagePlan
from tiktok_virality.execution.plan import Transform
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.media.limits import (
    ClipLimits,
    DuplicateParameters,
    HorizonParameters,
    WaveformParameters,
)
from tiktok_virality.media.motion import MotionSampling
from tiktok_virality.media.stills import StillSampling
from tiktok_virality.pipelines.ingestion.manifest import ManifestSchema, RejectedVideosSchema
from tiktok_virality.pipelines.ingestion.nodes import (
    build_manifest,
    decode_videos,
    extract_waveforms,
    fingerprint_videos,
    match_posts,
    probe_videos,
    views_at_horizons,
)

LEDGER = "seconds.tsv"


@dataclass(frozen=True)
class Watched:
    """A transform that notes how long each clip takes, and ends the process that takes too long.

    Attributes:
        transform: What is watched.
        folder: Where the notes go.
        name: Of the stage.
        seconds: After which a clip counts as hanging.
    """

    transform: Transform
    folder: Path
    name: str
    seconds: float

    def identity(self) -> Mapping[str, Any]:
        return self.transform.identity()

    def setup(self) -> None:
        self.transform.setup()

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        return [outcome for item in items for outcome in self._one(item)]

    def _one(self, item: StageItem) -> list[Outcome]:
        started = time.monotonic()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self.seconds)
        try:
            return self.transform([item])
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
            child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
            row = (self.name, repr(item.video_id), time.monotonic() - started, peak, child)
            with (self.folder / LEDGER).open("a") as file:
                file.write("\t".join(map(str, row)) + "\n")


@dataclass(frozen=True)
class Ingested:
    """What came of a folder.

    Attributes:
        manifest: Usable videos.
        rejects: The others.
        stages: What each stage holds.
        ledger: ``stage``, ``video_id``, ``seconds``, and the peak of memory of the process and of
            ffmpeg until then, in MiB.
    """

    manifest: pd.DataFrame
    rejects: pd.DataFrame
    stages: dict[str, StageTable]
    ledger: pd.DataFrame = field(repr=False)

    def faults(self) -> pd.DataFrame:
        """Return what no clip decided: it would be tried again by each run."""
        rows = [
            (name, key, entry.reason, entry.detail)
            for name, table in self.stages.items()
            for key, entry in table.entries.items()
            if entry.status == "fault"
        ]
        return pd.DataFrame(rows, columns=["stage", "video_id", "reason", "detail"])

    def failed(self) -> Counter[tuple[str, str]]:
        return Counter(
            (name, f"{entry.status}: {entry.reason}")
            for name, table in self.stages.items()
            for entry in table.entries.values()
            if entry.status != "done"
        )


@dataclass(frozen=True)
class Ingestion:
    """Runs the stages that open files, each by worker processes.

    Attributes:
        raw: Holds ``videos`` and the metadata.
        work: Where results go.
        workers: Processes.
        seconds: Limit of one clip in one stage.
    """

    raw: Path
    work: Path
    workers: int = 2
    seconds: float = 60.0

    def run(self) -> Ingested:
        self.work.mkdir(parents=True, exist_ok=True)
        limits, duplicates = ClipLimits(), DuplicateParameters()
        videos = VideoFolder(filepath=str(self.raw / "videos")).load()
        posts = match_posts(PostMetadata(filepath=str(self.raw)).load(), videos, ForgetList())
        probes = self._stage("probes", probe_videos(posts, videos))
        decoding = decode_videos(
            probes,
            videos,
            limits,
            FrameSampling(),
            StillSampling(),
            MotionSampling(),
            duplicates,
        )
        frames = self._stage("frames", decoding)
        hearing = extract_waveforms(probes, videos, limits, WaveformParameters())
        waveforms = self._stage("waveforms", hearing)
        prints = self._stage("fingerprints", fingerprint_videos(frames, waveforms, duplicates))
        horizons = views_at_horizons(posts, None, HorizonParameters())
        manifest, rejects = build_manifest(posts, probes, prints, horizons, limits, duplicates)
        columns = ["stage", "video_id", "seconds", "mib", "ffmpeg_mib"]
        ledger = pd.read_csv(self.work / LEDGER, sep="\t", names=columns, quoting=3)
        stages = {"probes": probes, "frames": frames, "fingerprints": prints}
        return Ingested(
            ManifestSchema.validate(manifest),
            RejectedVideosSchema.validate(rejects),
            stages | {"waveforms": waveforms},
            ledger,
        )

    def _stage(self, name: str, plan: StagePlan) -> StageTable:
        store = StageStore(
            filepath=str(self.work / name),
            engine={"type": "local", "workers": self.workers},
            max_failure_share=1.0,
        )
        watched = Watched(plan.transform, self.work, name, self.seconds)
        store.save(replace(plan, transform=watched))
        return store.load()
