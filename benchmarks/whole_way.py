"""How fast every stage is on real clips, and how its cost and memory grow with the corpus.

    make run                                  # leaves the clips that this reads
    .venv/bin/python benchmarks/whole_way.py [--videos data/demo/01_raw/videos]

First the stages as a user runs them, on 100 real clips with the base settings and Whisper base.
Then the growth from 100 to 1,000 to 10,000 clips: links to one tiny clip of a second, so that what
is measured is the machinery and not the decoder; decoding is real, Whisper's pass is replaced by
embeddings of its size. Each size runs in a process of its own. Cost per clip leaves out the start
of a stage (processes, imports), measured on 32 clips; memory is what the driver holds of its
own (RssAnon), looked at all the time. What is over in seconds is measured five times: the median.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pandas as pd
from interleaved import bytes_of_this_process, print_machine, print_rows

from tiktok_virality.datasets import StageStore, VideoFolder
from tiktok_virality.execution import Done, Outcome, Resources, StageItem, StagePlan
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.media.limits import DuplicateParameters
from tiktok_virality.media.motion import MotionSampling
from tiktok_virality.media.stills import StillSampling
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.trained import ModelSpec, TrainedModel
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.pipelines.audio.nodes import read_speech
from tiktok_virality.pipelines.ingestion.nodes import fingerprint_videos, probe_videos
from tiktok_virality.pipelines.visual.nodes import embed_clips
from tiktok_virality.stages.frames import ClipDecoder
from tiktok_virality.stages.probing import video_items
from tiktok_virality.stages.waveforms import WaveformExtractor
from tiktok_virality.startup import prefer_system_allocator
from tiktok_virality.training.parameters import EmbeddingParameters

REAL_CLIPS = 100
SIZES = (100, 1_000, 10_000)
START_CLIPS = 32
"""Enough for a batch for each of two workers: fewer clips start one, and the other later."""
FEW_CLIPS, REPEATS_OF_FEW = 100, 5
MOST_FINGERPRINTED = 1_000
"""Fingerprints start one ffmpeg per clip, which at 10,000 would take most of the hour."""
MOST_GROWTH_OF_COST, MOST_GROWTH_OF_MEMORY = 0.10, 50
"""Goals: of the cost per clip, as a share; of the driver's memory, in MB."""
LOOK_EVERY_SECONDS = 0.02
AUDIO_TOKENS = (4, 512)
DUPLICATES = DuplicateParameters(frames=8)
BASE = {
    "sampling": FrameSampling(every_nth=10, shrink=16, max_frames=32),
    "autoencoder": ConvLSTMConfig(hidden=32),
    "embedding": EmbeddingParameters(batch_size=4),
}
TINY = {
    "sampling": FrameSampling(every_nth=5, shrink=32, max_frames=8),
    "autoencoder": ConvLSTMConfig(hidden=4),
    "embedding": EmbeddingParameters(batch_size=16),
}


@dataclass
class AudioEmbeddingsOfTheirSize:
    """In place of Whisper where its pass is not the point: tokens of the size of its own."""

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {"shape": AUDIO_TOKENS}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Read each waveform, as Whisper would, and give tokens."""
        outcomes: list[Outcome] = []
        for item in items:
            level = np.abs(item.payload.load()["samples"]).mean()
            columns = {
                "tokens": np.full(AUDIO_TOKENS, level, np.float16),
                "text": "",
                "segments": [],
            }
            outcomes.append(Done(video_id=item.video_id, columns=columns))
        return outcomes


def main() -> None:
    """Print both tables, or run one size and write what it took."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--videos", type=Path, default=Path("data/demo/01_raw/videos"))
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options.add_argument("--work", type=Path, default=Path("build/bench"))
    options.add_argument("--one", type=Path, nargs=2, help="run the stages of one folder of clips")
    options.add_argument("--real", action="store_true", help="with the base settings and Whisper")
    wanted = options.parse_args()
    if wanted.one:
        videos, out = wanted.one
        print(json.dumps(run_stages(videos, out, real=wanted.real)))
        return
    found = sorted(wanted.videos.glob("*.mp4"))
    if not found:
        options.error(f"no mp4 files in {wanted.videos}: `make run` renders some, or give --videos")
    wanted.work.mkdir(parents=True, exist_ok=True)
    prefer_system_allocator()  # as every `kedro run` does; the processes started here inherit it
    print_machine()
    with tempfile.TemporaryDirectory(dir=wanted.work) as folder:
        real = islice(cycle(found), REAL_CLIPS)
        print_real(measure(list(real), Path(folder) / "real", real=True), wanted.videos)
        tiny = make_tiny_clip(Path(folder) / "tiny.mp4")
        start = measure_often([tiny] * START_CLIPS, Path(folder) / "start")
        grown = {
            size: measure_often([tiny] * size, Path(folder) / str(size)) for size in wanted.sizes
        }
    print_growth(start, grown)


def measure_often(clips: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Measure, and of few clips the median of several measurements: a start takes longer."""
    times = REPEATS_OF_FEW if len(clips) <= FEW_CLIPS else 1
    found = [measure(clips, folder / str(number)) for number in range(times)]
    return {
        "clips": len(clips),
        **{
            kind: {
                name: statistics.median(each[kind][name] for each in found)
                for name in found[0][kind]
            }
            for kind in ("seconds", "megabytes")
        },
    }


def measure(clips: Sequence[Path], folder: Path, *, real: bool = False) -> dict[str, Any]:
    """Link the clips into a folder, and run all stages over it in a process of its own."""
    videos = folder / "videos"
    videos.mkdir(parents=True)
    for number, clip in enumerate(clips):
        os.link(clip, videos / f"{number:06}.mp4")
    command = [sys.executable, __file__, "--one", str(videos), str(folder / "out")]
    command += ["--real"] * real
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def make_tiny_clip(path: Path) -> Path:
    """Encode one second of moving bars and a tone."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error"]
    command += ["-f", "lavfi", "-i", "testsrc=size=72x128:rate=10:duration=1"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:duration=1"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


def run_stages(folder: Path, out: Path, *, real: bool) -> dict[str, Any]:
    """Run every per-video stage.

    Returns:
        ``seconds`` and ``megabytes`` by stage, and ``clips``.
    """
    settings = BASE if real else TINY
    seconds: dict[str, float] = {}
    megabytes: dict[str, float] = {}
    videos: VideoFiles = VideoFolder(filepath=str(folder)).load()

    def through(name: str, plan: Callable[[], StagePlan], **options: Any) -> Any:
        store = StageStore(filepath=str(out / name), engine={"type": "local"}, **options)
        with watched_memory() as peak:
            began = time.perf_counter()
            store.save(plan())
            table = store.load()
            seconds[name] = time.perf_counter() - began
        # a real clip may have no sound, which is no failure
        assert table.failed.empty and (real or len(table) == len(videos)), f"{name}: {table}"
        megabytes[name] = peak[0]
        return table

    posts = pd.DataFrame({"video_id": list(videos), "reason": pd.Series(pd.NA, range(len(videos)))})
    probes = through("probe", lambda: probe_videos(posts, videos))
    manifest = probes.to_frame(["duration_seconds", "content_hash"])
    hashes = dict(zip(manifest["video_id"], manifest["video_id"], strict=True))
    manifest["content_hash"] = manifest["video_id"]  # the links would count as one clip
    items = video_items(videos, manifest["video_id"], hashes)
    probes = None  # as in a run, which lets go of what no later node reads
    decoder = ClipDecoder(
        settings["sampling"], StillSampling(), MotionSampling(), DUPLICATES.frames
    )
    frames = through("frames", lambda: StagePlan(items=items, transform=decoder))
    waveforms = through(
        "waveforms",
        lambda: StagePlan(items=items, transform=WaveformExtractor()),
        file_columns={"samples": {"suffix": ".wav"}},
    )
    if len(videos) <= MOST_FINGERPRINTED:
        through("fingerprints", lambda: fingerprint_videos(frames, waveforms, DUPLICATES))
    speech = (
        (lambda: read_speech(waveforms, manifest, WhisperParameters(), 0, "cpu"))
        if real
        else (
            lambda: StagePlan(
                items=waveforms.items(["samples"]),
                transform=AudioEmbeddingsOfTheirSize(),
                batch_size=16,
                resources=Resources(in_process=True),
            )
        )
    )
    through("audio embeddings", speech)
    waveforms = None
    spec = ModelSpec(kind="autoencoder", convlstm=settings["autoencoder"])
    untrained = TrainedModel(spec=spec, state=spec.build().state_dict(), history=[])
    through(
        "visual embeddings", lambda: embed_clips(frames, untrained, settings["embedding"], "cpu")
    )
    return {"seconds": seconds, "megabytes": megabytes, "clips": len(videos)}


@contextmanager
def watched_memory() -> Iterator[list[float]]:
    """Give a list whose only value becomes the most memory of its own that this process held."""
    peak = [own_megabytes()]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(LOOK_EVERY_SECONDS):
            peak[0] = max(peak[0], own_megabytes())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        stop.set()
        watcher.join()


def own_megabytes() -> float:
    """Return what this process holds in memory, files mapped into it left out."""
    return bytes_of_this_process("RssAnon") / 2**20


def print_real(result: Mapping[str, Any], source: Path) -> None:
    """Print the clips per minute of each stage and of all together."""
    print(f"\n## {result['clips']} real clips of {source}, base settings, Whisper base\n")
    total = sum(result["seconds"].values())
    rows = [["stage", "seconds", "clips per minute", "driver's memory, MB"]]
    for name, seconds in result["seconds"].items():
        rate = 60 * result["clips"] / seconds
        rows.append([name, f"{seconds:.1f}", f"{rate:,.0f}", f"{result['megabytes'][name]:.0f}"])
    most = max(result["megabytes"].values())
    rows.append(["**all**", f"{total:.1f}", f"{60 * result['clips'] / total:,.0f}", f"{most:.0f}"])
    print_rows(rows)


def print_growth(start: Mapping[str, Any], grown: Mapping[int, Mapping[str, Any]]) -> None:
    """Print the cost per clip and the driver's memory at every size, and their growth."""
    sizes = sorted(grown)
    print("\n## Growth: milliseconds per clip, and MB of the driver\n")
    rows = [["stage", *(f"ms at {n:,}" for n in sizes), "growth", *(f"MB at {n:,}" for n in sizes)]]
    rows[0].append("growth, MB")
    always = [name for name in start["seconds"] if name in grown[sizes[-1]]["seconds"]]
    for name in start["seconds"]:
        at = [n for n in sizes if name in grown[n]["seconds"]]
        cost = {n: _milliseconds([name], start, grown[n]) for n in at}
        rows.append(_growth_row(name, sizes, cost, {n: grown[n]["megabytes"][name] for n in at}))
    cost = {n: _milliseconds(always, start, grown[n]) for n in sizes}
    memory = {n: max(grown[n]["megabytes"].values()) for n in sizes}
    left_out = [name for name in start["seconds"] if name not in always]
    title = f"**all but {', '.join(left_out)}**" if left_out else "**all**"
    rows.append(_growth_row(title, sizes, cost, memory))
    print_rows(rows)
    print(
        f"\nGoals, from {sizes[0]:,} to {sizes[-1]:,} clips: at most "
        f"{MOST_GROWTH_OF_COST:+.0%} of the cost per clip, {MOST_GROWTH_OF_MEMORY:+} MB."
    )


def _growth_row(
    name: str, sizes: Sequence[int], cost: Mapping[int, float], memory: Mapping[int, float]
) -> list[str]:
    first, last = min(cost), max(cost)
    return [
        name,
        *(f"{cost[n]:.1f}" if n in cost else "" for n in sizes),
        f"{cost[last] / cost[first] - 1:+.0%}",
        *(f"{memory[n]:.0f}" if n in memory else "" for n in sizes),
        f"{memory[last] - memory[first]:+.0f}",
    ]


def _milliseconds(
    names: Sequence[str], start: Mapping[str, Any], result: Mapping[str, Any]
) -> float:
    """Return the cost of a clip in some stages, beyond their start."""
    beyond = sum(result["seconds"][name] - start["seconds"][name] for name in names)
    return 1000 * beyond / (result["clips"] - start["clips"])


if __name__ == "__main__":
    main()
