"""What the driver needs for a million planned items that are all done: memory and time.

.venv/bin/python benchmarks/planned_items.py [--items 1000000] [--batch-size 8]

The items are synthetic and their rows tiny, for what is measured is the machinery: planning, the
index, and the ledger of all parts, which every run reads anew. Parts are copies of one part under
other ids, written without waiting for the disk. Each step runs in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from interleaved import print_machine, print_rows

from tiktok_virality.datasets import StageStore
from tiktok_virality.datasets.part_checks import checksum_of, part_name
from tiktok_virality.datasets.part_files import encode_outcomes
from tiktok_virality.execution import WHOLE, Done, Outcome, StageItem, StagePlan
from tiktok_virality.startup import prefer_system_allocator

MOST_SECONDS, MOST_BYTES = 60, 2 * 10**9
"""Goals for a million items: of each step, and of the driver's memory."""


@dataclass(frozen=True)
class Measured:
    """Stands for any transform; it is never called, since everything is done."""

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Refuse: nothing is missing."""
        raise AssertionError(f"{len(items)} items are missing, and none should be")


def main() -> None:
    """Print what each step takes."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--items", type=int, default=1_000_000)
    options.add_argument("--batch-size", type=int, default=8)
    options.add_argument("--step", choices=STEPS, help="do it here, and print what it took")
    options.add_argument("--stage", type=Path, help="where it finds the stage")
    wanted = options.parse_args()
    if wanted.step is not None:
        print(*measured(wanted.step, wanted.stage, wanted.items))
        return
    print_machine()
    with tempfile.TemporaryDirectory(prefix="planned-") as folder:
        stage = Path(folder) / "stage"
        parts = write_parts(stage, wanted.items, wanted.batch_size)
        print(f"{wanted.items:,} items in {parts:,} parts")
        rows = [["step", "seconds", "processor s", "peak of the driver, MB"]]
        for name in STEPS:
            told = in_own_process(name, stage, wanted.items)
            rows.append([name, *(f"{value:.1f}" for value in told[:2]), f"{told[2] / 1e6:.0f}"])
        print_rows(rows)
    print(f"Goals for a million: {MOST_SECONDS} s, {MOST_BYTES / 1e6:.0f} MB")


def plan_of(count: int) -> StagePlan:
    """Return a plan of synthetic items, whose payloads are as small as paths are."""
    return StagePlan(items=[item_of(number) for number in range(count)], transform=Measured())


def item_of(number: int) -> StageItem:
    """Return an item with an id as long as those of posts, and a digest as long as any."""
    return StageItem(
        video_id=f"{7 * 10**18 + number}", digest=f"{number:064x}", payload=f"videos/{number}.mp4"
    )


def write_parts(stage: Path, count: int, size: int) -> int:
    """Write the parts of a finished stage; return how many."""
    folder = stage / plan_of(0).fingerprints[WHOLE][:16]
    folder.mkdir(parents=True)
    others = range(10**12, 10**12 + size)  # names that no item has
    template, likeness = part_bytes(others), list(names_of(others))
    for start in range(0, count, size):
        content = template
        numbers = range(start, min(start + size, count))
        if len(numbers) < size:
            content = part_bytes(numbers)
        else:
            for old, new in zip(likeness, names_of(numbers), strict=True):
                content = content.replace(old, new)
        checksum = checksum_of(pa.py_buffer(content), pa.ipc.open_file(content).read_all())
        (folder / part_name(1, f"{start:032x}", checksum)).write_bytes(content)
    return len(range(0, count, size))


def names_of(numbers: Sequence[int]) -> Iterator[bytes]:
    """Yield ids and digests as a part holds them."""
    for number in numbers:
        item = item_of(number)
        yield from (item.video_id.encode(), item.digest.encode())


def part_bytes(numbers: Sequence[int]) -> bytes:
    """Return a part file of items that are done."""
    items = [item_of(number) for number in numbers]
    done = [Done(video_id=item.video_id, columns={"seconds": 1.0}) for item in items]
    table = encode_outcomes(items, done, {})
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue().to_pybytes()


def save_again(stage: Path, count: int) -> None:
    """Plan, note the plan, and find that nothing is missing."""
    store = StageStore(filepath=str(stage))
    store.save(plan_of(count))
    assert store.last_report is not None
    assert store.last_report.skipped == count


def load(stage: Path, count: int) -> None:
    """Read the index and the ledger."""
    assert len(StageStore(filepath=str(stage)).load()) == count


def plan_next(stage: Path, count: int) -> None:
    """Load the table, and plan the next stage from its rows."""
    assert len(StageStore(filepath=str(stage)).load().items(["seconds"])) == count


STEPS = {
    "a save that finds all done": save_again,
    "loading the table": load,
    "loading it and planning the next stage": plan_next,
}


def in_own_process(step: str, stage: Path, count: int) -> list[float]:
    """Return seconds, processor seconds and peak memory of a step."""
    command = [sys.executable, __file__, "--step", step, "--stage", str(stage)]
    command += ["--items", str(count)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [float(value) for value in told.split()]


def measured(step: str, stage: Path, count: int) -> tuple[float, float, int]:
    """Do a step, and tell what it took."""
    began, worked = time.perf_counter(), time.process_time()
    STEPS[step](stage, count)
    seconds, processor = time.perf_counter() - began, time.process_time() - worked
    return seconds, processor, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    prefer_system_allocator()
    main()
