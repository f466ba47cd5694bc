"""Shards of a stage: several processes at once on one folder, and what is left to a whole save."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from kedro.io import DatasetError

from tests.execution.transforms import Square, items
from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.datasets.stage_store import StageStore
from tiktok_virality.execution import Resources, Shard, StagePlan

ROOT = Path(__file__).resolve().parents[2]
IN_PROCESS = Resources(in_process=True)
CLIPS = {f"v{i}": i for i in range(200)}
OF_SHARD = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tests.execution.transforms import Square, items
    from tiktok_virality.datasets.stage_store import StageStore
    from tiktok_virality.execution import Resources, Shard, StagePlan

    folder = Path(sys.argv[1])
    store = StageStore(filepath=str(folder / "stage"))
    store.take_shard(Shard.parse(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.readline()
    store.save(
        StagePlan(
            items=items(**{f"v{i}": i for i in range(200)}),
            transform=Square(folder / "trace"),
            batch_size=1,
            resources=Resources(in_process=True),
        )
    )
    print(store.last_report.done, store.last_report.skipped, len(store.load()))
    """
)


@pytest.fixture
def square(tmp_path: Path) -> Square:
    (tmp_path / "trace").mkdir()
    return Square(tmp_path / "trace")


def whole(square: Square, **clips) -> StagePlan:
    planned = items(**(clips or CLIPS))
    return StagePlan(items=planned, transform=square, batch_size=2, resources=IN_PROCESS)


def store_of(folder: Path, shard: str | None = None) -> StageStore:
    store = StageStore(filepath=str(folder / "stage"))
    if shard is not None:
        store.take_shard(Shard.parse(shard))
    return store


def test_two_processes_at_once_do_two_shards_and_a_whole_save_finds_both(tmp_path, square):
    running = [
        subprocess.Popen(
            [sys.executable, "-c", OF_SHARD, str(tmp_path), shard],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for shard in ("1/2", "2/2")
    ]
    assert [process.stdout.readline() for process in running] == ["ready\n"] * 2
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [tuple(map(int, process.communicate()[0].split())) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum(done for done, _, _ in told) == 200
    assert all(skipped == 0 and rows == done for done, skipped, rows in told)
    assert square.seen() == sorted(CLIPS)

    store = store_of(tmp_path)
    store.save(whole(square))
    assert store.last_report.done == 0
    assert store.last_report.skipped == 200
    assert store.load().ids == list(CLIPS)
    assert square.seen() == sorted(CLIPS)


def test_a_shard_leaves_alone_what_others_are_writing(tmp_path, square):
    store_of(tmp_path, "1/2").save(whole(square))
    [folder] = [path for path in (tmp_path / "stage").iterdir() if path.is_dir()]
    unfinished = folder / ".part-of-another.arrow.1234.tmp"
    with unfinished.open("wb") as being_written:
        fcntl.flock(being_written, fcntl.LOCK_EX)
        store_of(tmp_path, "2/2").save(whole(square))
        assert unfinished.exists()
    store_of(tmp_path, "2/2").save(whole(square))
    assert not unfinished.exists()


def test_shards_remove_no_version_that_others_may_be_reading(tmp_path, square):
    for power in (2, 3, 4):
        store_of(tmp_path, "1/2").save(whole(Square(square.trace, power=power)))
    versions = [path for path in (tmp_path / "stage").iterdir() if path.is_dir()]
    assert len(versions) == 3


def test_a_shard_does_not_change_what_is_read_without_one(tmp_path, square):
    store_of(tmp_path).save(whole(square, a=1, b=2))
    store_of(tmp_path, "1/1").save(whole(Square(square.trace, power=3), a=1, b=2))
    assert store_of(tmp_path).load().row("b")["tokens"][0, 0] == 4
    assert store_of(tmp_path, "1/1").load().row("b")["tokens"][0, 0] == 8


def test_a_shard_shows_its_part_of_what_a_whole_save_has_made(tmp_path, square):
    store_of(tmp_path).save(whole(square))
    parts = [store_of(tmp_path, f"{number}/3").load().ids for number in (1, 2, 3)]
    assert sorted(key for part in parts for key in part) == sorted(CLIPS)


def test_shards_alone_are_no_finished_stage(tmp_path, square):
    store_of(tmp_path, "1/2").save(whole(square))
    assert not store_of(tmp_path).exists()
    with pytest.raises(DatasetError, match="in shards alone"):
        store_of(tmp_path).load()


def test_what_failed_in_shards_is_tried_again_on_request(tmp_path, square):
    broken = {f"v{i}": "damaged" if i % 4 == 0 else i for i in range(20)}
    for number in (1, 2):
        store_of(tmp_path, f"{number}/2").save(whole(square, **broken))
    assert store_of(tmp_path).retry() == 5


def test_a_forgotten_video_leaves_the_plans_of_shards(tmp_path, square):
    store_of(tmp_path, "1/1").save(whole(square, a=1, b=2))
    assert store_of(tmp_path).forget(Forgotten(videos={"a": "forgotten-1"}, creators={})) == 1
    assert store_of(tmp_path, "1/1").load().ids == ["b"]
    left = b"".join(path.read_bytes() for path in (tmp_path / "stage").rglob("*.*"))
    assert b"digest of a" not in left
