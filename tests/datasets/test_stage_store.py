"""The stage store: resumable, atomic, and honest about what is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import textwrap
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from tests.execution.scripts import start_python
from tests.execution.transforms import Square, items
from tiktok_virality.datasets.part_files import safe_file_name
from tiktok_virality.datasets.stage_store import StageStore
from tiktok_virality.datasets.video_folder import VideoFolder
from tiktok_virality.execution import Resources, StageItem, StagePlan


@pytest.fixture
def square(tmp_path: Path) -> Square:
    trace = tmp_path / "trace"
    trace.mkdir()
    return Square(trace)


@pytest.fixture
def store(tmp_path: Path) -> StageStore:
    return StageStore(filepath=str(tmp_path / "stage"))


@pytest.fixture
def engine_store(tmp_path: Path, engine: dict) -> StageStore:
    return StageStore(filepath=str(tmp_path / "stage"), engine=engine)


def plan(square: Square, all_items: list[StageItem], **options) -> StagePlan:
    options = {"batch_size": 2, "resources": Resources(in_process=True)} | options
    return StagePlan(items=all_items, transform=square, **options)


def test_rows_come_back_as_they_were_given(engine_store, square):
    engine_store.save(plan(square, items(a=1, b=2, c=3)))
    table = engine_store.load()
    row = table.row("b")
    assert table.ids == ["a", "b", "c"]
    assert row["tokens"].dtype == np.float16
    np.testing.assert_array_equal(row["tokens"], np.full((2, 3), 4))
    assert row["text"] == "2.0"
    assert row["language"] is None
    assert row["segments"] == [{"text": "a", "start_seconds": 0.5}]
    assert list(table.to_frame(["text"])["text"]) == ["1.0", "2.0", "3.0"]


def test_a_second_save_computes_nothing(store, square):
    for _ in range(2):
        store.save(plan(square, items(a=1, b="silent", c="damaged")))
    assert square.seen() == ["a", "b", "c"]
    assert store.last_report.skipped == 3


def test_only_new_and_changed_items_are_computed(store, square):
    store.save(plan(square, items(a=1, b=2)))
    changed = StageItem(video_id="b", digest="another file", payload=5)
    store.save(plan(square, [*items(a=1), changed, *items(c=3)]))
    assert square.seen() == ["a", "b", "b", "c"]
    assert store.load().row("b", ["text"]) == {"text": "5.0"}


def test_another_configuration_computes_anew_and_going_back_is_free(store, square):
    cubed = Square(square.trace, power=3)
    store.save(plan(square, items(a=2)))
    store.save(plan(cubed, items(a=2)))
    assert store.load().row("a")["tokens"][0, 0] == 8
    store.save(plan(square, items(a=2)))
    assert store.load().row("a")["tokens"][0, 0] == 4
    assert square.seen() == ["a", "a"]


def test_absent_and_failed_items_are_told_apart_and_have_no_row(engine_store, square):
    mixed = items(a=1, b="silent", c="damaged")
    engine_store.save(plan(square, mixed, absent={"d": "no audio track"}))
    table = engine_store.load()
    assert table.ids == ["a"]
    assert table.absent == {"b": "silent", "d": "no audio track"}
    assert table.failed.to_dict("records") == [
        {"video_id": "c", "reason": "unreadable", "detail": "moov atom not found"}
    ]
    with pytest.raises(KeyError, match="'b' has nothing here: silent"):
        table.row("b")


def test_half_a_stage_does_not_exist_and_the_next_save_does_the_rest(store, square):
    with pytest.raises(KeyboardInterrupt):
        store.save(plan(square, items(a=1, b=2, c="interrupt", d=4)))
    assert not store.exists()
    with pytest.raises(DatasetError, match="2 of 4 items are missing"):
        store.load()
    store.save(plan(square, items(a=1, b=2, c=3, d=4)))
    assert store.exists()
    assert square.seen().count("a") == 1


def save_many(tmp_path: Path, engine: dict) -> subprocess.Popen:
    """Start a script that saves a plan of 200 items, and wait until it has written some parts."""
    script = tmp_path / "saving.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path
            from tests.execution.transforms import Square, items
            from tiktok_virality.datasets.stage_store import StageStore
            from tiktok_virality.execution import StagePlan

            if __name__ == "__main__":
                square = Square(Path({str(tmp_path / "trace")!r}))
                numbers = {{f"v{{i}}": i for i in range(200)}}
                StageStore(filepath={str(tmp_path / "stage")!r}, engine={engine!r}).save(
                    StagePlan(items=items(**numbers), transform=square, batch_size=1)
                )
            """
        )
    )
    (tmp_path / "trace").mkdir()
    process = start_python(str(script))
    while len(list((tmp_path / "stage").glob("*/*.arrow"))) < 20:
        assert process.poll() is None, "the run ended before it could be killed"
    return process


def check_it_resumes(tmp_path: Path) -> None:
    kept = len(list((tmp_path / "stage").glob("*/*.arrow")))
    store = StageStore(filepath=str(tmp_path / "stage"))
    assert not store.exists()
    store.save(plan(Square(tmp_path / "trace"), items(**{f"v{i}": i for i in range(200)})))
    assert store.last_report.skipped == kept
    assert len(store.load()) == 200
    assert not list((tmp_path / "stage").rglob("*.tmp"))


def test_a_save_killed_outright_leaves_finished_parts_and_resumes(tmp_path):
    """A real SIGKILL in the middle of a run of two worker processes."""
    process = save_many(tmp_path, {"type": "local"})
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    check_it_resumes(tmp_path)


def test_too_many_failures_stop_the_run_and_show_examples(tmp_path, square):
    store = StageStore(filepath=str(tmp_path / "stage"), max_failure_share=0.4)
    with pytest.raises(DatasetError, match=r"2 of 3 items failed(.|\n)*b: unreadable: moov atom"):
        store.save(plan(square, items(a=1, b="damaged", c="damaged")))


def test_failed_items_are_tried_again_only_on_request(tmp_path, square):
    store = StageStore(filepath=str(tmp_path / "stage"))
    for _ in range(2):
        store.save(plan(square, items(a=1, b=2, c="damaged")))
    assert square.seen() == ["a", "b", "c"]
    assert store.retry() == 1
    for _ in range(2):
        store.save(plan(square, items(a=1, b=2, c="damaged")))
    assert square.seen() == ["a", "b", "c", "c"]


def test_a_kept_failure_is_told_with_what_to_do(tmp_path, square, caplog):
    store = StageStore(filepath=str(tmp_path / "stage"))
    for _ in range(2):
        caplog.clear()
        with caplog.at_level("WARNING"):
            store.save(plan(square, items(a=1, b="damaged")))
    assert "1 clips failed in an earlier run" in caplog.text
    assert "1 unreadable" in caplog.text
    assert "tiktok-virality retry" in caplog.text


def test_a_fault_of_the_machine_is_tried_again_by_the_next_run(engine_store, square):
    store = engine_store
    faulty = items(a=1, b="surprise", c=3)
    store.save(plan(square, faulty))
    assert not store.exists()
    assert list(store.load().failed["reason"]) == ["ZeroDivisionError"]
    mended = [
        StageItem(video_id=i.video_id, digest=i.digest, payload=n) for n, i in enumerate(faulty)
    ]
    store.save(plan(square, mended))
    assert store.last_report.skipped == 2
    assert store.exists()
    assert store.load().ids == ["a", "b", "c"]


def test_an_empty_plan_is_a_finished_stage(store, square):
    store.save(plan(square, [], absent={"a": "no audio track"}))
    assert store.exists()
    assert store.load().ids == []


def test_a_video_id_planned_twice_is_refused(store, square):
    with pytest.raises(DatasetError, match="'a' is planned twice"):
        store.save(plan(square, [*items(a=1), *items(a=2)]))


def test_items_of_a_table_read_only_their_columns_and_know_the_upstream_result(store, square):
    store.save(plan(square, items(a=1)))
    [first] = store.load().items(["text"])
    store.save(plan(Square(square.trace, power=3), items(a=1)))
    [second] = store.load().items(["text"])
    assert first.payload.load() == {"text": "1.0"}
    assert first.digest != second.digest


def test_a_column_kept_as_files_is_computed_again_when_a_file_is_deleted(tmp_path):
    videos = tmp_path / "videos"
    store = StageStore(
        filepath=str(tmp_path / "stage"),
        file_columns={"video": {"suffix": ".mp4", "path": str(videos)}},
    )
    renderer = _BytesOf()
    store.save(plan(renderer, items(a=1, b=2)))
    assert (videos / "a.mp4").read_bytes() == b"1"
    (videos / "a.mp4").unlink()
    store.save(plan(renderer, items(a=1, b=2)))
    assert store.last_report.done == 1
    assert store.load().row("a") == {"video": b"1"}


class _BytesOf:
    def identity(self):
        return {}

    def setup(self) -> None:
        """Nothing to load."""

    def __call__(self, batch):
        from tiktok_virality.execution import Done

        return [
            Done(video_id=item.video_id, columns={"video": str(item.payload).encode()})
            for item in batch
        ]


@pytest.mark.parametrize(
    "video_id", ["../../etc/passwd", "..", ".hidden", "a/b", "ä é 日本", "a" * 400, "con:aux|?*"]
)
def test_no_id_leads_out_of_its_folder(video_id, tmp_path):
    path = tmp_path / (safe_file_name(video_id) + ".wav")
    assert path.parent == tmp_path
    path.touch()
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert not path.name.startswith(".")


def test_different_ids_never_share_a_file_name():
    ids = ["a/b", "a%2Fb", "a b", "a%20b", "x" * 300, "x" * 301, ".a", "%2Ea"]
    assert len({safe_file_name(video_id) for video_id in ids}) == len(ids)


def test_a_video_folder_takes_a_plan_that_makes_videos_and_lists_them(tmp_path):
    folder = VideoFolder(filepath=str(tmp_path / "videos"))
    folder.save(plan(_BytesOf(), items(a=1, **{"ä/b": 2})))
    assert folder.load().keys() == {"a", "ä/b"}
    assert (tmp_path / "videos" / "a.mp4").read_bytes() == b"1"
