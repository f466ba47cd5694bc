"""The engines that start workers: every item is accounted for, whatever a worker does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.execution.transforms import Square, items
from tiktok_virality.datasets.stage_store import make_engine
from tiktok_virality.execution import (
    BatchReport,
    Done,
    Failed,
    LocalEngine,
    Resources,
    StageItem,
    StageWork,
)
from tiktok_virality.schema import StageError, WeightsError


class Recorder:
    """Writes the status of every outcome as a file, so that any process can add to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, batch, outcomes) -> None:
        for outcome in outcomes:
            status = outcome.reason if not isinstance(outcome, Done) else "done"
            if isinstance(outcome, Failed) and not outcome.is_verdict:
                status += ", no verdict"
            (self.folder / outcome.video_id).write_text(status)

    def read(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder.iterdir()}


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    folder = tmp_path / "recorded"
    folder.mkdir()
    return Recorder(folder)


@pytest.fixture
def square(tmp_path: Path) -> Square:
    trace = tmp_path / "trace"
    trace.mkdir()
    return Square(trace)


def run(engine, batches, square, recorder, *, in_process=False) -> BatchReport:
    work = StageWork(transform=square, write=recorder)
    reports = engine.run(batches, work, Resources(in_process=in_process))
    return sum(reports, BatchReport())


def batches_of(all_items: list[StageItem], size: int) -> list[list[StageItem]]:
    return [all_items[start : start + size] for start in range(0, len(all_items), size)]


@pytest.mark.parametrize("in_process", [True, False])
def test_every_item_is_accounted_for_as_done_absent_or_failed(engine, square, recorder, in_process):
    batches = batches_of(items(a=1, b="silent", c="damaged", d=4, e="surprise"), 2)
    total = run(make_engine(engine), batches, square, recorder, in_process=in_process)
    assert total == BatchReport(done=2, absent=1, failed=2)
    assert recorder.read() == {
        "a": "done",
        "b": "silent",
        "c": "unreadable",
        "d": "done",
        "e": "ZeroDivisionError, no verdict",
    }


def test_a_worker_that_dies_costs_only_the_item_that_killed_it(engine, square, recorder):
    batches = batches_of(items(a=1, b=2, c="crash", d=4, e=5, f="crash", g=7, h=8), 2)
    total = run(make_engine(engine), batches, square, recorder)
    assert total == BatchReport(done=6, failed=2)
    died = [key for key, status in recorder.read().items() if status == "worker died, no verdict"]
    assert sorted(died) == ["c", "f"]


@pytest.mark.parametrize("in_process", [True, False])
def test_an_error_that_concerns_every_item_stops_the_stage(engine, square, recorder, in_process):
    with pytest.raises(WeightsError, match="no weights anywhere"):
        run(
            make_engine(engine),
            batches_of(items(a="no weights", b=2), 1),
            square,
            recorder,
            in_process=in_process,
        )


def test_an_interrupt_keeps_what_was_finished(square, recorder):
    batches = batches_of(items(a=1, b=2, c="interrupt", d=4), 1)
    with pytest.raises(KeyboardInterrupt):
        run(LocalEngine(), batches, square, recorder, in_process=True)
    assert recorder.read() == {"a": "done", "b": "done"}


def test_a_full_disk_is_said_and_not_taken_for_a_bad_clip(square):
    def write_to_a_full_disk(batch, outcomes) -> None:
        with Path("/dev/full").open("w") as file:
            file.write("x" * 10_000)

    work = StageWork(transform=square, write=write_to_a_full_disk)
    with pytest.raises(StageError, match=r"disk is full.*run the same command again"):
        work(items(a=1))


def test_a_transform_that_forgets_an_item_is_refused(recorder, square, monkeypatch):
    monkeypatch.setattr(
        Square, "__call__", lambda self, batch: [Failed(video_id="a", reason="x", detail="y")]
    )
    work = StageWork(transform=square, write=recorder)
    with pytest.raises(StageError, match="exactly one outcome per item"):
        work(items(a=1, b=2))


def test_a_script_without_a_guard_is_told_so_and_holds_nothing_against_a_clip(tmp_path):
    """Each spawned worker imports the script, which starts a stage of its own."""
    script = tmp_path / "script.py"
    script.write_text(
        "from tests.execution.transforms import Square, items\n"
        "from tiktok_virality.datasets import StageStore\n"
        "from tiktok_virality.execution import StagePlan\n"
        "from pathlib import Path\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "(folder / 'trace').mkdir(exist_ok=True)\n"
        "store = StageStore(filepath=str(folder / 'stage'))\n"
        "store.save(StagePlan(items=items(a=1), transform=Square(folder / 'trace')))\n"
    )
    paths = f"{Path.cwd()}:{os.environ.get('PYTHONPATH', '')}"
    result = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert result.returncode
    assert '__name__ == "__main__"' in result.stderr.splitlines()[-1]
    assert not list((tmp_path / "stage").rglob("*.arrow"))
