"""What the Ray engine costs beside the local one, on the same plan; and two workers beside one.

    .venv/bin/python -m pip install -c constraints.txt -e '.[ray]'
    .venv/bin/python benchmarks/ray_overhead.py [--seconds 60] [--rounds 3]

Items compute for a fixed processor time each, in batches as a stage has them, and write a row as
large as those of stages. Engines take turns; a Ray cluster of this machine is started before and
kept, as one is for all stages of a run, and what its start takes is told apart. Processor time is
what all processes of an engine took, in seconds; on a busy machine it is the fairer measure.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tiktok_virality.datasets import StageStore
from tiktok_virality.execution import Done, Outcome, StageItem, StagePlan
from tiktok_virality.execution.ray_cluster import connect

GOAL = 1.10
LOOK_EVERY_SECONDS = 0.1
BATCH_SIZE = 8
ITEM_SECONDS = 0.05
"""A clip's share of a cheap stage; dearer ones hide what an engine costs."""


@dataclass
class Busy:
    """Computes for as long as it is told, and gives a row of 32 tokens."""

    seconds: float

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Be busy for each item."""
        return [self._one(item) for item in items]

    def _one(self, item: StageItem) -> Outcome:
        began = time.process_time()
        while time.process_time() - began < self.seconds:
            pass
        tokens = np.zeros((32, 512), np.float16)
        return Done(video_id=item.video_id, columns={"tokens": tokens})


def main() -> None:
    """Print Ray beside local, and two workers beside one."""
    from interleaved import print_machine  # here: local workers import this file, and no torch

    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--seconds", type=float, default=60, help="of a plan, with two workers")
    options.add_argument("--rounds", type=int, default=3)
    wanted = options.parse_args()
    print_machine()
    began = time.perf_counter()
    connect(None)
    print(f"start of a cluster on this machine: {time.perf_counter() - began:.1f} s")
    count = round(2 * wanted.seconds / ITEM_SECONDS)
    print(f"\n{count} items of {ITEM_SECONDS} s, in batches of {BATCH_SIZE}, two workers")
    spent: dict[str, list[float]] = {"ray": [], "local": []}
    peers = {name: partial(watched, spent[name], saving(name, 2, count)) for name in spent}
    ratios = compare(peers, "local", wanted.rounds)
    print(f"ray takes {ratios['ray']:.3f} times as long by the clock; goal: at most {GOAL}")
    for name, each in spent.items():
        print(
            f"{name}: {statistics.median(each):.1f} processor s ({min(each):.1f} to "
            f"{max(each):.1f}), of which the items are {count * ITEM_SECONDS:.1f}"
        )
    both = zip(spent["ray"], spent["local"], strict=True)
    print(f"ratio of processor time: {statistics.median(ray / local for ray, local in both):.3f}")
    print("\nRay, one worker and two")
    few = max(BATCH_SIZE, count // 4)
    compare({"one": saving("ray", 1, few), "two": saving("ray", 2, few)}, "two", wanted.rounds)


def watched(spent: list[float], run: Callable[[], None]) -> None:
    """Run something, and note the processor time of this process and all that it starts."""
    own, over, latest = psutil.Process(), threading.Event(), {}
    before = seconds_of([own, *own.children(recursive=True)])

    def look() -> None:
        while not over.wait(LOOK_EVERY_SECONDS):
            latest.update(seconds_of([own, *own.children(recursive=True)]))

    looking = threading.Thread(target=look)
    looking.start()
    run()
    over.set()
    looking.join()
    latest.update(seconds_of([own, *own.children(recursive=True)]))
    spent.append(sum(seconds - before.get(pid, 0.0) for pid, seconds in latest.items()))


def seconds_of(processes: Sequence[psutil.Process]) -> dict[int, float]:
    """Return the processor time of each process that is still there, without its children."""
    found = {}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found[process.pid] = sum(process.cpu_times()[:2])
    return found


def saving(engine: str, workers: int, count: int) -> Callable[[], None]:
    """Return what saves the plan once, into a folder of its own."""
    return partial(save, {"type": engine, "workers": workers}, count)


def save(engine: Mapping[str, Any], count: int) -> None:
    """Save a plan of items that are all new."""
    items = [StageItem(video_id=f"v{i}", digest=f"{i}", payload=None) for i in range(count)]
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        store = StageStore(filepath=str(Path(folder) / "stage"), engine=engine)
        store.save(StagePlan(items=items, transform=Busy(ITEM_SECONDS), batch_size=BATCH_SIZE))
        assert store.last_report is not None
        assert store.last_report.done == count


def compare(peers: Mapping[str, Callable[[], None]], ours: str, rounds: int) -> dict[str, float]:
    """Print a table; return how many times as long each other peer takes, the median of rounds."""
    from interleaved import measure, print_table

    times = measure(peers, rounds, warm_up=False)
    print_table(times, ours)
    return {
        name: statistics.median(t / our for t, our in zip(each, times[ours], strict=True))
        for name, each in times.items()
    }


if __name__ == "__main__":
    main()
