"""A disk that is full, may not be written to, or goes away; and a clock that goes back."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from tests.execution.transforms import Square, items
from tiktok_virality.datasets import StageStore
from tiktok_virality.execution import Resources, StageItem, StagePlan, absence, outcome_of

HERE = Resources(in_process=True)
FUTURE = time.time() + 10 * 365 * 24 * 3600


@dataclass
class Heavy:
    """Gives each clip 200 kB, and a fault to the clip that names one."""

    folder: Path

    def identity(self):
        return {}

    def setup(self) -> None:
        """Nothing to load."""

    def __call__(self, batch):
        return [outcome_of(item, self._one) for item in batch]

    def _one(self, item: StageItem):
        if item.payload == "the disk may not be written to any more":
            mount("remount,ro", self.folder)
        return {"tokens": np.ones(50_000, np.float32)}


@dataclass
class Read:
    """Reads a file; the folder goes away before one of them."""

    folder: Path
    back_after_seconds: float | None = None

    def identity(self):
        return {}

    def setup(self) -> None:
        """Nothing to load."""

    def __call__(self, batch):
        return [outcome_of(item, self._one) for item in batch]

    def _one(self, item: StageItem):
        if item.payload == "the folder goes away":
            item = StageItem(video_id=item.video_id, digest="", payload=f"{item.video_id}.txt")
            go_away(self.folder, self.back_after_seconds)
        return {"text": (self.folder / item.payload).read_text()}


def go_away(folder: Path, back_after_seconds: float | None) -> None:
    """Rename a folder, and back some time later; once."""
    aside = folder.with_name("away")
    if folder.exists() and not (folder / "was away").exists():
        (folder / "was away").touch()
        folder.rename(aside)
        if back_after_seconds is not None:
            threading.Timer(back_after_seconds, aside.rename, [folder]).start()


def mount(options: str, folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mount("size=1M", folder)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def plan(transform, all_items: list[StageItem]) -> StagePlan:
    return StagePlan(items=all_items, transform=transform, batch_size=1, resources=HERE)


def test_a_full_disk_is_said_and_with_more_room_the_same_command_does_the_rest(small_disk):
    store = StageStore(filepath=str(small_disk / "stage"))
    eight = items(**dict.fromkeys("abcdefgh"))
    with pytest.raises(DatasetError, match=r"disk is full.*run the same command again"):
        store.save(plan(Heavy(small_disk), eight))
    mount("remount,size=4M", small_disk)
    store.save(plan(Heavy(small_disk), eight))
    assert 1 <= store.last_report.skipped <= 5
    assert store.load().ids == list("abcdefgh")
    assert not list(small_disk.rglob("*.tmp"))


def test_a_disk_that_may_not_be_written_to_is_said_and_then_the_rest_is_done(small_disk):
    store = StageStore(filepath=str(small_disk / "stage"))
    hostile = items(a=1, b="the disk may not be written to any more", c=1)
    with pytest.raises(DatasetError, match=r"cannot be written: Read-only file system"):
        store.save(plan(Heavy(small_disk), hostile))
    with pytest.raises(DatasetError, match=r"Read-only file system"):
        store.save(plan(Heavy(small_disk), hostile))
    mount("remount,rw", small_disk)
    store.save(plan(Heavy(small_disk), items(a=1, b=1, c=1)))
    assert store.last_report.skipped == 1
    assert store.load().ids == ["a", "b", "c"]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in "abc":
        (folder / f"{name}.txt").write_text(name)
    return folder


AWAY = {"a": "a.txt", "b": "the folder goes away", "c": "c.txt"}


@pytest.mark.slow
@pytest.mark.parametrize("what", ["what is read", "where it is written"])
def test_a_folder_that_goes_away_for_a_while_costs_nothing_but_time(tmp_path, texts, what, caplog):
    stage = texts / "stage" if what == "where it is written" else tmp_path / "stage"
    store = StageStore(filepath=str(stage))
    store.save(plan(Read(texts, back_after_seconds=1.5), items(**AWAY)))
    assert {key: row["text"] for key, row in store.load().rows()} == {each: each for each in "abc"}
    assert "looking again in" in caplog.text


def test_a_folder_that_stays_away_ends_the_stage_and_holds_nothing_against_a_clip(
    tmp_path, texts, monkeypatch
):
    monkeypatch.setattr(absence, "WAITS_SECONDS", (0.01, 0.01))
    store = StageStore(filepath=str(tmp_path / "stage"))
    with pytest.raises(DatasetError, match=r"has been gone for .* run the same command again"):
        store.save(plan(Read(texts), items(**AWAY)))
    texts.with_name("away").rename(texts)
    store.save(plan(Read(texts), items(**AWAY)))
    assert store.last_report.skipped == 1
    assert store.load().ids == ["a", "b", "c"]


def test_a_file_that_is_gone_alone_is_waited_for_by_nobody(tmp_path, texts, caplog):
    (texts / "b.txt").unlink()
    store = StageStore(filepath=str(tmp_path / "stage"))
    three = items(a="a.txt", b="b.txt", c="c.txt")
    store.save(plan(Read(texts), three))
    assert list(store.load().failed["reason"]) == ["FileNotFoundError"]
    assert "looking again in" not in caplog.text
    (texts / "b.txt").write_text("b")
    store.save(plan(Read(texts), three))
    assert store.load().ids == ["a", "b", "c"]


@pytest.fixture
def square(tmp_path: Path) -> Square:
    (tmp_path / "trace").mkdir()
    return Square(tmp_path / "trace")


def from_the_future(folder: Path) -> None:
    """What was written before a clock went back, or by a machine whose clock is ahead."""
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (FUTURE, FUTURE))


def test_files_from_the_future_are_outdone_by_later_ones(tmp_path, square):
    store = StageStore(filepath=str(tmp_path / "stage"))
    store.save(plan(square, items(a=1, b="surprise")))  # a fault
    from_the_future(tmp_path / "stage")
    mended = [StageItem(video_id=i.video_id, digest=i.digest, payload=2) for i in items(b=2)]
    store.save(plan(square, [*items(a=1), *mended]))
    assert store.load().ids == ["a", "b"]
    assert square.seen() == ["a", "b", "b"]


def test_a_failure_from_the_future_is_tried_again_on_request_and_then_kept(tmp_path, square):
    store = StageStore(filepath=str(tmp_path / "stage"))
    store.save(plan(square, items(a=1, b="damaged")))
    from_the_future(tmp_path / "stage")
    store.retry()
    store.save(plan(square, items(a=1, b="damaged")))
    from_the_future(tmp_path / "stage")
    store.save(plan(square, items(a=1, b="damaged")))
    assert square.seen() == ["a", "b", "b"]


def test_the_latest_two_settings_stay_whatever_the_clock_says(tmp_path, square):
    store = StageStore(filepath=str(tmp_path / "stage"))
    for power in (2, 3):
        store.save(plan(Square(square.trace, power=power), items(a=2)))
        from_the_future(tmp_path / "stage")
    for power in (4, 3, 4):
        store.save(plan(Square(square.trace, power=power), items(a=2)))
        assert store.load().row("a", ["tokens"])["tokens"][0, 0] == 2**power
    assert square.seen() == ["a"] * 3
    assert len([path for path in (tmp_path / "stage").iterdir() if path.is_dir()]) == 2
