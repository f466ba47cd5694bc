"""What an honest long clip takes of a worker: processor time and memory, stage by stage.

    python benchmarks/long_clip.py CLIP...

The defaults of `engine.item_seconds` and `engine.item_gigabytes` must leave room above it. Each
stage runs in a process of its own; the memory is its peak, pages of mapped files included.
"""

from __future__ import annotations

import resource
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tiktok_virality.execution import Done, StageItem, Transform
from tiktok_virality.media.clip import EncodedVideo
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.media.limits import IngestionParameters
from tiktok_virality.stages.frames import ClipDecoder
from tiktok_virality.stages.probing import ProbeVideos
from tiktok_virality.stages.waveforms import WaveformExtractor


def transforms() -> dict[str, Transform]:
    """Return the stages that read the clip itself, as `conf/base` has them."""
    ingestion = IngestionParameters()
    decoder = ClipDecoder(
        FrameSampling(every_nth=10, shrink=16, max_frames=32),
        ingestion.stills,
        ingestion.motion,
        ingestion.duplicates.frames,
    )
    return {"probing": ProbeVideos(), "decoding": decoder, "sound": WaveformExtractor(-60.0)}


def measure(name: str, path: Path) -> dict[str, Any]:
    """Return what one stage takes."""
    status = path.stat()
    video = EncodedVideo(
        video_id=path.stem, path=path, size_bytes=status.st_size, modified_ns=status.st_mtime_ns
    )
    transform = transforms()[name]
    transform.setup()
    before, began = time.process_time(), time.monotonic()
    [outcome] = transform([StageItem(video_id=path.stem, digest="", payload=video)])
    return {
        "stage": name,
        "done": isinstance(outcome, Done),
        "cpu_seconds": round(time.process_time() - before, 1),
        "seconds": round(time.monotonic() - began, 1),
        "peak_gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
    }


def main() -> None:
    """Measure each stage on each clip."""
    for path in map(Path, sys.argv[1:]):
        print(f"{path.name}: {path.stat().st_size / 1e6:.0f} MB")
        for name in transforms():
            with get_context("spawn").Pool(1) as pool:
                print(" ", pool.apply(measure, (name, path)), flush=True)


if __name__ == "__main__":
    main()
