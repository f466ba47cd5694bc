"""The process beside the driver: does what it is given, keeps what it loads, outlives a crash."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.execution.test_local_engine import Recorder
from tests.execution.transforms import Square, items
from tiktok_virality.execution import BatchReport, Resources, StageWork
from tiktok_virality.execution import resident as engine
from tiktok_virality.execution.beside import ProcessBeside
from tiktok_virality.execution.resident import ResidentEngine, start_beside
from tiktok_virality.schema import WeightsError

POWERS = count(2)


@pytest.fixture(scope="module")
def beside() -> ProcessBeside:
    return ProcessBeside(["json", "a_library_that_nobody_has"])


@pytest.fixture
def work(tmp_path: Path) -> StageWork:
    for name in ("trace", "recorded"):
        (tmp_path / name).mkdir()
    square = Square(tmp_path / "trace", power=next(POWERS))  # what is kept is nobody else's
    return StageWork(transform=square, write=Recorder(tmp_path / "recorded"))


@pytest.fixture
def started(beside, monkeypatch) -> Iterator[None]:
    monkeypatch.setitem(engine._beside, "process", beside)


def workers(work: StageWork) -> set[int]:
    """Return the processes that have left a trace."""
    return {int(path.name.split(".")[1]) for path in work.transform.trace.iterdir()}


def test_it_works_in_a_process_of_its_own_and_every_item_is_accounted_for(beside, work):
    report = beside.run(items(a=1, b="silent", c="damaged"), work)
    assert report == BatchReport(done=1, absent=1, failed=1)
    assert work.write.read() == {"a": "done", "b": "silent", "c": "unreadable"}
    assert len(workers(work)) == 1 and os.getpid() not in workers(work)


def test_a_crash_costs_only_the_item_that_caused_it(beside, work):
    report = beside.run(items(a=1, b="crash", c=3), work)
    assert report == BatchReport(done=2, failed=1)
    assert work.write.read()["b"] == "worker died, no verdict"
    assert beside.run(items(d=4), work) == BatchReport(done=1)


def test_what_concerns_every_item_is_raised_here_and_the_process_goes_on(beside, work):
    with pytest.raises(WeightsError, match="no weights anywhere"):
        beside.run(items(a="no weights"), work)
    assert beside.run(items(b=2), work) == BatchReport(done=1)


def test_only_stages_that_ask_for_it_run_there(started, work):
    for name, resources in (("here", Resources()), ("there", Resources(beside=True))):
        [report] = ResidentEngine().run([items(**{name: 1})], work, resources)
        assert report.done == 1
    by = {
        path.name.split(".")[0]: path.name.split(".")[1] for path in work.transform.trace.iterdir()
    }
    assert by["here"] == str(os.getpid()) != by["there"]


def test_there_is_one_of_them_at_most(started, beside):
    start_beside(["json"])
    assert engine._beside["process"] is beside


def test_it_ends_with_the_driver_though_it_is_still_loading():
    script = (
        "from tiktok_virality.execution.beside import ProcessBeside\n"
        "if __name__ == '__main__':\n"
        "    print(ProcessBeside(['this.is.no.library'])._process.pid)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 0, said.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.stdout), 0)
