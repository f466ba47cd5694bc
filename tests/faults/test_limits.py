"""A clip that hangs, hoards memory or crashes its worker costs nobody else anything."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.execution.transforms import items
from tests.faults.transforms import Endure
from tiktok_virality.datasets import StageStore
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.execution.limits import BUSY_SHARE, ItemLimits, Usage, excess

ROOT = Path(__file__).resolve().parents[2]
LIMITS = {"item_seconds": 3.0, "item_gigabytes": 0.3}
OF_WORKERS = ("spawn_main", "time.sleep", "ray::_Worker")


@pytest.fixture
def store(tmp_path: Path, engine: dict[str, Any]) -> StageStore:
    return StageStore(filepath=str(tmp_path / "stage"), engine={**engine, **LIMITS})


def plan(all_items, **options) -> StagePlan:
    return StagePlan(items=all_items, transform=Endure(), **{"batch_size": 3, **options})


@pytest.mark.slow
def test_clips_that_hang_hoard_or_crash_are_in_the_failure_table_and_all_others_are_done(store):
    hostile = {"b": "spins", "e": "hoards", "f": "crashes", "h": "waits for a program"}
    numbers = {key: n for n, key in enumerate("acdgijkl")}
    everything = dict(sorted((hostile | numbers).items()))
    store.save(plan(items(**everything)))
    table = store.load()
    assert {key: row["square"] for key, row in table.rows()} == {
        key: number**2 for key, number in numbers.items()
    }
    failed = table.failed.set_index("video_id")
    assert failed["reason"].to_dict() == {
        "b": "took too long" if had_its_time(failed.loc["b", "detail"]) else "waited too long",
        "e": "took too much memory",
        "f": "worker died",
        "h": "waited too long",
    }
    assert re.match(r"0\.[345] GB", failed.loc["e", "detail"])
    assert not [each for each in children() if any(mark in each for mark in OF_WORKERS)]


@pytest.mark.slow
def test_who_took_too_much_is_judged_once_and_who_waited_or_died_is_tried_again(store):
    store.save(plan(items(a=1, b="hoards", c="waits", d="crashes", e=5, f=6)))
    store.save(plan(items(a=1, b="hoards", c=3, d=4, e=5, f=6)))
    assert store.last_report.skipped == 4
    assert store.load().failed["video_id"].to_list() == ["b"]
    store.retry()
    store.save(plan(items(a=1, b=2, c=3, d=4, e=5, f=6)))
    assert store.load().ids == list("abcdef")


def test_what_is_no_clip_may_take_its_time(store):
    """A training is an item, too."""
    store.save(plan(items(a=1, b=2), resources=Resources(limited=False)))
    assert store.load().ids == ["a", "b"]


@pytest.mark.parametrize(
    ("usage", "seconds", "reason"),
    [
        (Usage(cpu_seconds=19.0, memory_bytes=10**9), 19.9, None),
        (Usage(cpu_seconds=19.0, memory_bytes=10**9), 20.1, "took too long"),
        (Usage(cpu_seconds=1.0, memory_bytes=10**9), 20.1, "waited too long"),
        (Usage(cpu_seconds=1.0, memory_bytes=3 * 10**9), 1.0, "took too much memory"),
    ],
)
def test_a_batch_has_the_time_of_all_its_items_and_the_memory_of_one(usage, seconds, reason):
    passed = excess(usage, seconds, 2, ItemLimits(seconds=10, gigabytes=2))
    assert (passed and passed.reason) == reason


@pytest.mark.slow
@pytest.mark.parametrize("payload", ["spins", "waits for a program"])
def test_workers_end_with_a_driver_that_is_killed_alone(tmp_path, payload):
    script = tmp_path / "driver.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from tests.execution.transforms import items
            from tests.faults.transforms import Endure
            from tiktok_virality.datasets import StageStore
            from tiktok_virality.execution import StagePlan

            if __name__ == "__main__":
                engine = {{"type": "local", "workers": 1}}
                store = StageStore(filepath={str(tmp_path / "stage")!r}, engine=engine)
                many = items(a=1, b={payload!r})
                store.save(StagePlan(items=many, transform=Endure(), batch_size=1))
            """
        )
    )
    driver = subprocess.Popen(
        [sys.executable, str(script)], cwd=ROOT, env={**os.environ, "PYTHONPATH": paths()}
    )
    while not list((tmp_path / "stage").glob("*/*.arrow")):
        assert driver.poll() is None, "the driver ended before it could be killed"
    family = psutil.Process(driver.pid).children(recursive=True)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    assert family
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not [each for each in alive if "sleep" not in " ".join(each.cmdline())]
    for each in alive:
        each.kill()


def had_its_time(detail: str) -> bool:
    """Tell whether a busy machine has let a worker compute for long enough to judge it."""
    after, computing = map(float, re.findall(r"([\d.]+) s", detail))
    return computing > BUSY_SHARE * after + 0.1


def children() -> list[str]:
    """Return the commands of what this process has started, without what has ended already."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # zombies among them
            found.append(" ".join(each.cmdline()))
    return found


def paths() -> str:
    return f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
