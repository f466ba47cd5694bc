"""What plain `kedro run` takes on a corpus of the published size, stage by stage.

    .venv/bin/python benchmarks/whole_corpus.py --clips 24    # minutes: the table is extrapolated
    .venv/bin/python benchmarks/whole_corpus.py               # 5,000 clips: hours, and 25 GB

Real films are cut into segments of two seconds, all encoded once and alike; every clip joins a few
scenes of five segments each, another choice for every clip, copied and not encoded again, so that
thousands of different clips cost little. They share scenes, so the search for copies is set to find
none. Everything else is `conf/base`. A project of its own is made in a folder, and `kedro run` in
it; the log says when a node began and ended, and Linux what processor time it took, workers
included.

Processor time and not the clock is extrapolated, since it hardly depends on what else runs, and
divided by the cores. A quarter of the clips goes through the stages first, so that what a stage
takes to start is told from what it takes for a clip; trainings are scaled by their steps. What
grows otherwise, as the baselines and the readout do, is in `modeling_cost.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import yaml
from interleaved import print_machine, print_rows

from tiktok_virality.modalities import MODALITIES
from tiktok_virality.models.trained import load_trained
from tiktok_virality.training.parameters import AutoencoderTraining, TrainingParameters

ROOT = Path(__file__).parents[1]
PUBLISHED_CLIPS = 5_000
CORES = 2
SEED = 7
SEGMENT_SECONDS, FPS = 2, 30
SCENE_SEGMENTS = 5
"""As they follow each other in a film: words that are cut every two seconds puzzle Whisper."""
CLIPS_PER_CREATOR, FEWEST_CREATORS = 6, 12
TRAINING_SHARE = 0.6
STAGES = ("ingestion", "image", "motion", "audio", "sound", "text")
FIRST_SHARE = 0.25
SHOWN_HOURS = 0.005
BEGAN = re.compile(r"Running node: ")
ENDED = re.compile(r"Completed node: (\S+)")
TRAINED = re.compile(r"train_(\w+)")
REPEATED = "modeling.repeat_with_other_seeds"
TOGETHER = ("early_fusion", "ensemble")


@dataclass(frozen=True, kw_only=True)
class NodeTime:
    """What a node took.

    Attributes:
        seconds: By the clock.
        cpu_seconds: Of all processes.
    """

    seconds: float
    cpu_seconds: float


def main() -> None:
    """Make the corpus, run the project on it, and print and write the table."""
    options = _options()
    project = options.work.resolve() / f"corpus_{options.clips}"
    pool = make_segments(options.sources, options.work.resolve() / "segments", options.height)
    if not options.keep:
        shutil.rmtree(project, ignore_errors=True)
        make_project(project, options)
        make_corpus(pool, project / "data/01_raw", options.clips, options.seconds)
    print_machine()
    posts = json.loads((project / "posts.json").read_text())
    few = round(FIRST_SHARE * options.clips)
    first = run(project, STAGES, posts[:few])
    times = run(project, options.pipelines, posts)
    print_table(times, first, project, options.clips)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--clips", type=int, default=PUBLISHED_CLIPS)
    parser.add_argument("--seconds", type=int, default=30, help="of each clip")
    parser.add_argument("--height", type=int, default=1024, help="in pixels; the width is 9/16")
    parser.add_argument("--sources", type=Path, default=ROOT.parent / "shared/clips")
    parser.add_argument("--work", type=Path, default=ROOT / "build/whole_corpus")
    parser.add_argument("--workers", type=int, help="worker processes; one per core if not given")
    parser.add_argument("--pipelines", nargs="*", default=[], help="some of them, for a part")
    parser.add_argument("--params", default="{}", help="settings in YAML, in place of conf/base")
    parser.add_argument("--keep", action="store_true", help="go on with the project that is there")
    return parser.parse_args()


def make_segments(sources: Path, folder: Path, height: int) -> list[Path]:
    """Cut every film with sound into segments of one size, rate and codec; keep what is there."""
    folder = folder / str(height)
    if not folder.is_dir():
        made = folder.with_name(f"{height}.part")
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir(parents=True)
        for film in sorted(sources.glob("*.mp4")):
            _cut(film, made, height)
        made.rename(folder)
    found = sorted(path for path in folder.glob("*.ts") if path.stat().st_size)
    if not found:
        shutil.rmtree(folder)
        raise SystemExit(f"No film with sound in {sources}: give some with --sources.")
    return found


def _cut(film: Path, folder: Path, height: int) -> None:
    width = height * 9 // 16 // 2 * 2
    scale = f"scale={width}:{height}:force_original_aspect_ratio=increase,crop={width}:{height}"
    frames = SEGMENT_SECONDS * FPS
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(film)]
    command += ["-map", "0:v:0", "-map", "0:a:0", "-vf", f"{scale},fps={FPS},setsar=1"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "26", "-pix_fmt", "yuv420p"]
    command += ["-g", str(frames), "-keyint_min", str(frames), "-sc_threshold", "0"]
    command += ["-c:a", "aac", "-ar", "44100", "-ac", "2", "-shortest"]
    command += ["-f", "segment", "-segment_time", str(SEGMENT_SECONDS), "-reset_timestamps", "1"]
    done = subprocess.run([*command, str(folder / f"{film.stem}_%03d.ts")], check=False)
    if done.returncode:
        print(f"left out: {film.name}, which has no sound or cannot be read", file=sys.stderr)


def make_project(folder: Path, options: argparse.Namespace) -> None:
    """Copy configuration and source; only the search for copies differs from `conf/base`."""
    folder.mkdir(parents=True)
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    local = folder / "conf/local"
    local.mkdir()
    none = {"ingestion": {"duplicates": {"copy_bits": 0, "kin_bits": 0}}}
    (local / "parameters.yml").write_text(yaml.safe_dump(none))
    (local / "parameters_tried.yml").write_text(options.params)
    if options.workers is not None:
        engine = {"engine": {"type": "local", "workers": options.workers}}
        (local / "globals.yml").write_text(yaml.safe_dump(engine))


def make_corpus(pool: Sequence[Path], folder: Path, count: int, seconds: int) -> None:
    """Write clips of random scenes, and posts for them."""
    videos = folder / "videos"
    videos.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    scenes = _scenes(pool)
    length = max(1, seconds // (SEGMENT_SECONDS * SCENE_SEGMENTS))
    needed = count * length * SCENE_SEGMENTS * np.mean([path.stat().st_size for path in pool])
    if needed > shutil.disk_usage(folder).free:
        raise SystemExit(
            f"{count} clips take {needed / 1e9:.0f} GB, more than there is room for in {folder}: "
            "give another --work, or a smaller --height."
        )
    if count > len(scenes) ** length:
        raise SystemExit(f"{len(scenes)} scenes do not make {count} clips: give more --sources.")
    choices = rng.choice(len(scenes) ** length, count, replace=False)
    creators = max(FEWEST_CREATORS, count // CLIPS_PER_CREATOR)
    posts = []
    for number in range(count):
        name = f"{7_100_000_000_000_000_000 + number}"
        listed = folder / "segments.txt"
        places = np.unravel_index(choices[number], (len(scenes),) * length)
        chosen = [path for place in places for path in scenes[place]]
        listed.write_text("".join(f"file '{path}'\n" for path in chosen))
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "fatal", "-f", "concat", "-safe", "0"]
        command += ["-i", str(listed), "-c", "copy", "-bsf:a", "aac_adtstoasc"]
        subprocess.run([*command, str(videos / f"{name}.mp4")], check=True)
        posts.append(
            {
                "id": name,
                "views": int(rng.lognormal(10, 1.5)),
                "creator": f"creator{number % creators}",
                "posted_at": f"2025-{1 + number % 12:02}-{1 + number % 28:02}",
                "caption": f"clip number {number} of many #number{number % 50} #video",
            }
        )
    listed.unlink()
    (folder.parents[1] / "posts.json").write_text(json.dumps(posts, indent=1) + "\n")


def _scenes(pool: Sequence[Path]) -> list[Sequence[Path]]:
    """Return all runs of segments that follow each other in one film."""
    runs = [pool[first : first + SCENE_SEGMENTS] for first in range(len(pool))]
    return [
        run
        for run in runs
        if len(run) == SCENE_SEGMENTS and len({path.stem.rpartition("_")[0] for path in run}) == 1
    ]


def run(
    project: Path, pipelines: Sequence[str], posts: Sequence[dict[str, Any]]
) -> dict[str, NodeTime]:
    """Run the project as a user does, print its log, and return what each node took, by name."""
    (project / "data/01_raw/metadata.json").write_text(json.dumps(posts, indent=1) + "\n")
    command = [sys.executable, "-m", "kedro", "run"]
    command += ["--pipelines", ",".join(pipelines)] if pipelines else []
    environment = {**os.environ, "PYTHONPATH": str(project / "src"), "PYTHONUNBUFFERED": "1"}
    environment |= {"KEDRO_DISABLE_TELEMETRY": "1", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment |= {"PYTHONWARNINGS": "ignore"}
    times: dict[str, NodeTime] = {}
    began, cpu_before = time.monotonic(), 0.0
    with subprocess.Popen(
        command,
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", file=sys.stderr)
            if BEGAN.search(line):
                began, cpu_before = time.monotonic(), cpu_seconds(process.pid)
            elif ended := ENDED.search(line):
                times[ended[1]] = NodeTime(
                    seconds=time.monotonic() - began,
                    cpu_seconds=cpu_seconds(process.pid) - cpu_before,
                )
    if process.returncode:
        raise SystemExit(f"kedro run ended with {process.returncode}; its log is above.")
    return times


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of those of its children that have ended."""
    values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, values[11:15])) / os.sysconf("SC_CLK_TCK")


def print_table(
    times: Mapping[str, NodeTime], first: Mapping[str, NodeTime], project: Path, clips: int
) -> None:
    """Print what every node took, and what it takes on `PUBLISHED_CLIPS` clips.

    Args:
        times: Of the whole run, by node; stages did what the first run had left.
        first: Of a run on the first clips.
        project: Where they ran.
        clips: Of both runs together.
    """
    rows = [["node", "seconds", "processor s", "for each", f"hours at {PUBLISHED_CLIPS:,}"]]
    hours: dict[str, float] = defaultdict(float)
    table = []
    for name, each in times.items():
        unit, whole = at_full_size(name, each.cpu_seconds, first, project, clips)
        hours[name.partition(".")[0]] += whole
        cells = [name, f"{each.seconds:.1f}", f"{each.cpu_seconds:.1f}", unit, f"{whole:.2f}"]
        table.append((whole, cells))
    rows += [cells for whole, cells in sorted(table, reverse=True) if whole >= SHOWN_HOURS]
    print(f"\n## {clips} clips, `kedro run`\n")
    print_rows(rows)
    print(f"\n## Hours on {CORES} cores, extrapolated to {PUBLISHED_CLIPS:,} clips\n")
    print_rows(
        [
            ["pipeline", "hours"],
            *([name, f"{value:.2f}"] for name, value in hours.items()),
            ["**all**", f"{sum(hours.values()):.2f}"],
        ]
    )


def at_full_size(
    name: str, cpu: float, first: Mapping[str, NodeTime], project: Path, clips: int
) -> tuple[str, float]:
    """Return what a node takes for each clip or step, in words, and its hours at the full size."""
    trained = TRAINED.search(name)
    if name == REPEATED or trained:
        names = [trained[1]] if trained else [*(f"{n}_model" for n in MODALITIES), *TOGETHER]
        tried, base = (
            1 if trained else max(1, settings(project, "modeling", is_tried)["repeats"] - 1)
            for is_tried in (True, False)
        )
        done = tried * sum(steps_taken(project, each, clips) for each in names)
        whole = base * sum(most_steps(project, each) for each in names)
        return f"{cpu / done:.2f} s a step", cpu / done * whole / CORES / 3600
    if name not in first:
        return f"{cpu / clips:.2f} s a clip", cpu / clips * PUBLISHED_CLIPS / CORES / 3600
    few = round(FIRST_SHARE * clips)
    each = max(0.0, cpu - first[name].cpu_seconds) / (clips - 2 * few)
    start = max(0.0, first[name].cpu_seconds - few * each)
    return f"{each:.2f} s a clip", (start + each * PUBLISHED_CLIPS) / CORES / 3600


def steps_taken(project: Path, name: str, clips: int) -> int:
    """Return the steps that a model's training took."""
    epochs = len(load_trained(project / "data/06_models" / name).history)
    return epochs * steps_per_epoch(training(project, name, tried=True), clips)


def most_steps(project: Path, name: str) -> int:
    """Return the most steps that it takes at the full size, with the settings of `conf/base`."""
    of_base = training(project, name, tried=False)
    return of_base.epochs * steps_per_epoch(of_base, PUBLISHED_CLIPS)


def steps_per_epoch(parameters: TrainingParameters, clips: int) -> int:
    """Return the steps of an epoch on the training split of so many clips."""
    train = round(TRAINING_SHARE * clips)
    return -(-parameters.clips_per_epoch(train) // parameters.clips_per_step)


def training(project: Path, name: str, *, tried: bool) -> TrainingParameters:
    """Return the training parameters of a model."""
    if name == "autoencoder":
        return AutoencoderTraining(**settings(project, "visual", tried)["training"])
    part = "fine_tuning" if name == "ensemble" else "training"
    return TrainingParameters(**settings(project, "modeling", tried)[part])


def settings(project: Path, pipeline: str, tried: bool) -> dict[str, Any]:
    """Return the parameters of a pipeline: of `conf/base`, or as they were tried."""
    base = yaml.safe_load((project / f"conf/base/parameters_{pipeline}.yml").read_text())[pipeline]
    other = yaml.safe_load((project / "conf/local/parameters_tried.yml").read_text()) or {}
    for name, value in other.get(pipeline, {}).items() if tried else ():
        base[name] = base[name] | value if isinstance(value, dict) else value
    return dict(base)


if __name__ == "__main__":
    main()
