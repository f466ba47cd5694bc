"""What plain `kedro run` takes on a corpus of the published size, stage by stage.

    .venv/bin/python benchmarks/whole_corpus.py --clips 48    # minutes: the table is extrapolated
    .venv/bin/python benchmarks/whole_corpus.py               # 5,000 clips: hours

Few real films are encoded once, in their own codec and size, with a key frame every second. Every
clip is another stretch of one of them, copied and not encoded again, so that thousands of different
clips cost little. They share scenes, so the search for copies is set to find none. Everything else
is `conf/base`. A project of its own is made in a folder, and `kedro run` in it; the log says when a
node began and ended, and Linux what processor time it took, workers included.

Processor time and not the clock is extrapolated, since it hardly depends on what else runs, and
divided by the cores. Of fewer clips, a quarter goes through the stages first, so that what a stage
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

from tiktok_virality.media.probe import probe_video
from tiktok_virality.modalities import MODALITIES
from tiktok_virality.models.trained import load_trained
from tiktok_virality.training.parameters import AutoencoderTraining, TrainingParameters

ROOT = Path(__file__).parents[1]
PUBLISHED_CLIPS = 5_000
CORES = 2
SEED = 7
APART_SECONDS = 1
"""From one key frame of a film to the next."""
ENCODERS = {"h264": "libx264", "hevc": "libx265", "av1": "libsvtav1"}
OPTIONS = {"hevc": ("-x265-params", "log-level=error", "-tag:v", "hvc1")}
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
class Film:
    """What clips are cut from."""

    path: Path
    seconds: float
    fps: float


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
    films = make_films(options.sources, options.work.resolve() / "films")
    if not options.keep:
        shutil.rmtree(project, ignore_errors=True)
        make_project(project, options)
        make_corpus(films, project / "data/01_raw", options.clips)
    print_machine()
    posts = json.loads((project / "posts.json").read_text())
    few = round(FIRST_SHARE * options.clips)
    first = run(project, STAGES, posts[:few]) if options.clips < PUBLISHED_CLIPS else {}
    began = time.monotonic()
    times = run(project, options.pipelines, posts)
    print(f"\n{options.clips} clips: {(time.monotonic() - began) / 3600:.2f} hours by the clock")
    print_table(times, first, project, options.clips)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--clips", type=int, default=PUBLISHED_CLIPS)
    parser.add_argument("--sources", type=Path, default=ROOT.parent / "shared/clips")
    parser.add_argument("--work", type=Path, default=ROOT / "build/whole_corpus")
    parser.add_argument("--workers", type=int, help="worker processes; one per core if not given")
    parser.add_argument("--pipelines", nargs="*", default=[], help="some of them, for a part")
    parser.add_argument("--params", default="{}", help="settings in YAML, in place of conf/base")
    parser.add_argument("--keep", action="store_true", help="go on with the project that is there")
    return parser.parse_args()


def make_films(sources: Path, folder: Path) -> list[Film]:
    """Encode every film in its own codec and size, with key frames close together; keep them."""
    folder.mkdir(parents=True, exist_ok=True)
    films = sorted(sources.glob("*.mp4"))
    if not films:
        raise SystemExit(f"No film in {sources}: give some with --sources.")
    made = []
    for film in films:
        encoded = folder / film.name
        probe = probe_video(film)
        if not encoded.exists():
            part = encoded.with_suffix(".part.mp4")
            command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(film)]
            command += ["-map", "0:v:0", "-map", "0:a:0?", "-c:v", ENCODERS[probe.video_codec]]
            command += ["-g", str(round(probe.fps * APART_SECONDS)), "-c:a", "aac", "-shortest"]
            subprocess.run([*command, *OPTIONS.get(probe.video_codec, ()), str(part)], check=True)
            part.rename(encoded)
        made.append(
            Film(path=encoded, seconds=probe_video(encoded).duration_seconds, fps=probe.fps)
        )
    return made


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


def make_corpus(films: Sequence[Film], folder: Path, count: int) -> None:
    """Write clips, each another stretch of a film, and posts for them."""
    videos = folder / "videos"
    videos.mkdir(parents=True)
    rng = np.random.default_rng(SEED)
    creators = max(FEWEST_CREATORS, count // CLIPS_PER_CREATOR)
    stretches = [each for film in films for each in _stretches(film)]
    if count > len(stretches):
        raise SystemExit(f"The films give {len(stretches)} clips: give more --sources.")
    posts = []
    for number, chosen in enumerate(rng.choice(len(stretches), count, replace=False)):
        film, start, frames = stretches[chosen]
        name = f"{7_100_000_000_000_000_000 + number}"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "fatal", "-ss", str(start)]
        command += ["-i", str(film.path), "-t", f"{frames / film.fps:.4f}", "-map", "0"]
        subprocess.run([*command, "-c", "copy", str(videos / f"{name}.mp4")], check=True)
        posts.append(
            {
                "id": name,
                "views": int(rng.lognormal(10, 1.5)),
                "creator": f"creator{number % creators}",
                "posted_at": f"2025-{1 + number % 12:02}-{1 + number % 28:02}",
                "caption": f"clip number {number} of many #number{number % 50} #video",
            }
        )
    (folder.parents[1] / "posts.json").write_text(json.dumps(posts, indent=1) + "\n")


def _stretches(film: Film) -> list[tuple[Film, int, int]]:
    """Return the stretches that begin in the first half and are at least half of what is left.

    Each is the film, the second where it begins, and its frames.
    """
    return [
        (film, start, frames)
        for start in range(0, int(film.seconds / 2), APART_SECONDS)
        for most in [int((film.seconds - start) * film.fps)]
        for frames in range(most // 2, most)
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
