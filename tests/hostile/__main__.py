"""Run ingestion over hostile clips: `python -m tests.hostile 2000 --folder /tmp/hostile`."""

from __future__ import annotations

import argparse
import json
import logging
import resource
import time
from pathlib import Path

from tests.hostile.corpus import (
    add_strange_files,
    hostile_clips,
    hostile_posts,
    strange_ids,
    write_posts,
)
from tests.hostile.ingestion import Ingestion
from tests.hostile.seeds import make_seeds
from tests.hostile.trap import set_trap

MEMORY_BYTES = 8 * 2**30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    raw = asked.folder / "raw"
    (raw / "videos").mkdir(parents=True)
    (asked.folder / "seeds").mkdir(parents=True)
    seeds = make_seeds(asked.folder / "seeds")
    with set_trap(asked.folder / "secrets", seeds["h264_sound.mp4"]) as trap:
        ids = []
        for clip in hostile_clips(asked.clips, asked.seed, seeds, trap):
            (raw / "videos" / f"{clip.video_id}{clip.suffix}").write_bytes(clip.content)
            ids.append(clip.video_id)
        add_strange_files(raw / "videos", seeds["h264_sound.mp4"], trap)
        ids += strange_ids()
        write_posts(raw / "metadata.json", hostile_posts(ids, asked.seed))
        started = time.monotonic()
        done = Ingestion(raw, asked.folder / "work", seconds=asked.seconds).run()
        seconds = time.monotonic() - started
        sprung = trap.sprung()
    accounted = set(done.manifest["video_id"]) | set(done.rejects["video_id"])
    done.faults().to_csv(asked.folder / "faults.csv", index=False)
    done.rejects.to_csv(asked.folder / "rejects.csv", index=False)
    slowest = done.ledger.nlargest(10, "seconds")
    told = {
        "clips": len(ids),
        "usable": len(done.manifest),
        "rejected": done.rejects["reason"].value_counts().to_dict(),
        "unaccounted": sorted(set(ids) - accounted),
        "stages": {f"{stage}: {why}": n for (stage, why), n in sorted(done.failed().items())},
        "faults": len(done.faults()),
        "sprung": sprung,
        "wall_seconds": round(seconds, 1),
        "slowest": slowest[["stage", "video_id", "seconds"]].to_dict("records"),
        "peak_mib": int(done.ledger["mib"].max()),
        "peak_ffmpeg_mib": int(done.ledger["ffmpeg_mib"].max()),
    }
    print(json.dumps(told, indent=1, ensure_ascii=False))  # noqa: T201


if __name__ == "__main__":
    main()
