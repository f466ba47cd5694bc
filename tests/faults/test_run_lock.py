"""Two runs on the same data: the second says who has them; what a killed one held is free."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.session.conftest import Project, make_project
from tiktok_virality.datasets.run_lock import COLLECTING, FOLDER, RunLock, holders
from tiktok_virality.schema import BusyError

HOLDS = """
import sys
from pathlib import Path
from tiktok_virality.datasets.run_lock import RunLock

lock = RunLock.take(Path(sys.argv[1]), shared=sys.argv[2] == "shared")
print("taken", flush=True)
sys.stdin.read()
"""


class Other:
    """Another process that has the lock."""

    def __init__(self, data: Path, kind: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDS, str(data), kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "taken\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def other(tmp_path: Path, request):
    holder = Other(tmp_path, getattr(request, "param", "alone"))
    yield holder
    holder.kill()


def test_who_collects_videos_keeps_nobody_from_those_that_are_there(tmp_path, other):
    with RunLock.take(tmp_path, shared=False, name=COLLECTING):
        assert [holder.pid for holder in holders(tmp_path / FOLDER)] == [other.process.pid]
        with pytest.raises(BusyError, match=f"process {os.getpid()} "):
            RunLock.take(tmp_path, shared=False, name=COLLECTING)


def test_the_second_is_told_which_process_has_the_data(tmp_path, other):
    with pytest.raises(BusyError) as refused:
        RunLock.take(tmp_path, shared=False)
    message = str(refused.value)
    assert str(tmp_path) in message
    assert f"process {other.process.pid} on {socket.gethostname()}, since 20" in message
    assert f"-c {tmp_path} alone" in message


def test_what_a_killed_process_held_is_free_at_once_and_its_note_is_gone(tmp_path, other):
    other.kill()
    with RunLock.take(tmp_path, shared=False):
        [mine] = holders(tmp_path / FOLDER)
        assert mine.pid == os.getpid()
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["lock"]


@pytest.mark.parametrize("other", ["shared"], indirect=True)
def test_shards_share_and_a_whole_run_waits_for_all_of_them(tmp_path, other):
    with RunLock.take(tmp_path, shared=True):
        assert {each.pid for each in holders(tmp_path / FOLDER)} == {os.getpid(), other.process.pid}
    with pytest.raises(BusyError, match=f"process {other.process.pid} "):
        RunLock.take(tmp_path, shared=False)
    other.kill()
    RunLock.take(tmp_path, shared=False).release()


@pytest.mark.parametrize("other", ["alone"], indirect=True)
def test_a_shard_does_not_begin_beside_a_whole_run(tmp_path, other):
    with pytest.raises(BusyError):
        RunLock.take(tmp_path, shared=True)


def test_a_place_without_locks_is_said_and_used_all_the_same(tmp_path, caplog):
    (tmp_path / FOLDER).write_text("no folder can be made here")
    with RunLock.take(tmp_path, shared=False):
        assert "Nothing keeps other runs off" in caplog.text


@pytest.mark.slow
def test_a_second_kedro_run_ends_in_one_message_before_it_has_begun(tmp_path):
    project: Project = make_project(tmp_path)
    other = Other(tmp_path / "data", "alone")
    finished = project.kedro("run", check=False)
    assert finished.returncode == 1
    assert "Error: Another run is changing " in finished.stdout
    assert f"process {other.process.pid} on " in finished.stdout
    assert "Traceback" not in finished.stdout
    forgotten = subprocess.run(
        [sys.executable, "-m", "tiktok_virality.app", "forget", "--video", "1"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
    )
    assert "Error: Another run is changing " in forgotten.stderr
    other.kill()
    assert "Another run" not in project.kedro("run", check=False).stdout
    assert not list((tmp_path / "data" / FOLDER).glob("*.json"))
