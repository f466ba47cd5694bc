"""The stage store in a bucket: what is true of a folder is true there."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import textwrap
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from tests.buckets import KEY, SECRET, Bucket
from tests.execution.scripts import start_python
from tests.execution.transforms import Square, items
from tiktok_virality.datasets import part_files
from tiktok_virality.datasets.stage_store import StageStore
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.schema import DamageError


@pytest.fixture
def square(tmp_path: Path) -> Square:
    trace = tmp_path / "trace"
    trace.mkdir()
    return Square(trace)


@pytest.fixture(autouse=True)
def _nothing_is_open() -> None:
    part_files.open_part.cache_clear()


def store_in(bucket: Bucket, **options) -> StageStore:
    return StageStore(filepath=f"{bucket.address}/stage", credentials=bucket.credentials, **options)


def store_elsewhere(bucket: Bucket, tmp_path: Path) -> StageStore:
    """The same stage from a machine that has no copies of it, and no part open."""
    part_files.open_part.cache_clear()
    return store_in(bucket.on_another_machine(tmp_path / "elsewhere"))


def plan(square: Square, all_items, **options) -> StagePlan:
    options = {"batch_size": 2, "resources": Resources(in_process=True)} | options
    return StagePlan(items=all_items, transform=square, **options)


def parts_of(bucket: Bucket) -> list:
    return sorted(bucket.place.rglob("*.arrow"))


def test_workers_put_parts_and_rows_come_back(bucket, square, engine):
    store = store_in(bucket, engine=engine)
    store.save(plan(square, items(a=1, b=2, c="silent", d="damaged"), resources=Resources()))
    table = store.load()
    np.testing.assert_array_equal(table.row("b")["tokens"], np.full((2, 3), 4))
    assert (table.ids, list(table.absent), list(table.failed["video_id"])) == (
        ["a", "b"],
        ["c"],
        ["d"],
    )
    assert store.exists()
    store.save(plan(square, items(a=1, b=2, c="silent", d="damaged")))
    assert square.seen() == ["a", "b", "c", "d"]


def test_another_machine_takes_what_is_there(bucket, square, tmp_path):
    store_in(bucket).save(plan(square, items(a=1, b=2, c=3)))
    other = store_elsewhere(bucket, tmp_path)
    other.save(plan(square, items(a=1, b=2, c=3, d=4)))
    assert square.seen() == ["a", "b", "c", "d"]
    assert other.load().row("a", ["text"]) == {"text": "1.0"}


def test_the_next_stage_reads_rows_in_its_workers(bucket, square):
    store_in(bucket).save(plan(square, items(a=1, b=2)))
    [item, _] = store_in(bucket).load().items(["text"])
    program = f"import pickle; print(pickle.loads({pickle.dumps(item)!r}).payload.load())"
    said, _ = start_python("-c", program).communicate()
    assert "{'text': '1.0'}" in said


def test_two_versions_stay_and_older_ones_go(bucket, square):
    store = store_in(bucket)
    for power in (1, 2, 3):
        store.save(plan(Square(square.trace, power=power), items(a=2)))
    folders = {
        key.split("/stage/")[1].split("/")[0] for key in bucket.addresses() if "part-" in key
    }
    assert len(folders) == 2


def test_what_was_killed_is_finished_by_the_same_save(bucket, square):
    crashing = items(a=1, b=2, c=3, d="interrupt", e=5)
    with pytest.raises(KeyboardInterrupt):
        store_in(bucket).save(plan(square, crashing, batch_size=1))
    assert not store_in(bucket).exists()
    store_in(bucket).save(plan(square, items(a=1, b=2, c=3, d=4, e=5), batch_size=1))
    assert [square.seen().count(name) for name in "abcde"] == [1, 1, 1, 2, 1]
    assert store_in(bucket).load().ids == list("abcde")


def test_what_was_killed_outright_keeps_its_parts_and_is_finished(bucket, square, tmp_path):
    """A real SIGKILL in the middle of a run of worker processes."""
    script = tmp_path / "many.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from tests.execution.transforms import Square, items
            from tiktok_virality.datasets.stage_store import StageStore
            from tiktok_virality.execution import StagePlan
            from pathlib import Path
            if __name__ == "__main__":
                square = Square(Path({str(square.trace)!r}))
                numbers = {{f"v{{i}}": i for i in range(200)}}
                StageStore(
                    filepath={bucket.address!r} + "/stage",
                    credentials={bucket.credentials!r},
                    engine={{"type": "local", "workers": 2}},
                ).save(StagePlan(items=items(**numbers), transform=square, batch_size=1))
            """
        )
    )
    process = start_python(str(script))
    while len(parts_of(bucket)) < 20:
        assert process.poll() is None, process.communicate()[0]
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept, store = len(parts_of(bucket)), store_in(bucket)
    assert not store.exists()
    store.save(plan(square, items(**{f"v{i}": i for i in range(200)}), batch_size=20))
    assert store.last_report is not None and store.last_report.skipped == kept
    assert len(store.load()) == 200


def test_a_damaged_object_is_found_set_aside_and_made_again(bucket, square, caplog, tmp_path):
    store_in(bucket).save(plan(square, items(a=1, b=2, c=3), batch_size=1))
    part = parts_of(bucket)[1]
    bucket.damage(part, 40)
    other = store_elsewhere(bucket, tmp_path)
    with caplog.at_level(logging.WARNING):
        other.save(plan(square, items(a=1, b=2, c=3), batch_size=1))
    assert f"{part} is damaged" in caplog.text
    assert f"{part}.damaged" in bucket.addresses()
    assert len(square.seen()) == 4
    assert other.load().ids == ["a", "b", "c"]


def test_a_damaged_copy_is_fetched_anew_and_nothing_computed(bucket, square):
    store_in(bucket).save(plan(square, items(a=1, b=2)))
    store_in(bucket).load()
    [copy] = bucket.cache.rglob("*.arrow")
    content = bytearray(copy.read_bytes())
    content[40] ^= 1
    copy.write_bytes(bytes(content))
    part_files.open_part.cache_clear()
    store_in(bucket).save(plan(square, items(a=1, b=2)))
    assert square.seen() == ["a", "b"]
    assert not any(key.endswith(".damaged") for key in bucket.addresses())


def test_a_damaged_value_is_an_error_that_says_what_to_do(bucket, square, tmp_path):
    store_in(bucket).save(plan(square, items(a=1, b=2)))
    [part] = parts_of(bucket)
    value = part.read_bytes().index(np.full((2, 2), 1, np.float16).tobytes())
    bucket.damage(part, value)
    other = store_elsewhere(bucket, tmp_path)
    with pytest.raises(DamageError, match="run the same command again"):
        other.load().row("a")


def test_files_of_their_own_are_put_and_read(bucket, square):
    columns = {"text": {"suffix": ".txt", "path": f"{bucket.address}/texts"}}
    store = store_in(bucket, file_columns=columns)
    texts = StagePlan(items=items(a=1), transform=Spoken(), resources=Resources(in_process=True))
    store.save(texts)
    assert (bucket.place / "texts" / "a.txt").read_bytes() == b"said 1"
    assert store.load().row("a") == {"text": b"said 1"}
    bucket.remove(bucket.place / "texts" / "a.txt")
    assert not store.exists()


class Spoken:
    """Says a number in bytes."""

    def identity(self):
        return {}

    def setup(self):
        """Nothing to load."""

    def __call__(self, batch):
        from tiktok_virality.execution import outcome_of

        return [outcome_of(each, lambda it: {"text": b"said %d" % it.payload}) for each in batch]


def test_what_failed_is_tried_again_after_a_retry(bucket, square):
    store = store_in(bucket)
    store.save(plan(square, items(a=1, b="damaged")))
    assert store.retry() == 1
    store.save(plan(square, items(a=1, b="damaged")))
    store.save(plan(square, items(a=1, b="damaged")))
    assert square.seen() == ["a", "b", "b"]


def test_a_server_that_is_away_ends_a_save_with_one_line(bucket, square, monkeypatch):
    monkeypatch.setattr("tiktok_virality.execution.absence.WAITS_SECONDS", (0.0, 0.0))
    away = Bucket("http://127.0.0.1:9", bucket.name, bucket.cache)
    with pytest.raises(DatasetError, match=r"http://127.0.0.1:9 does not answer"):
        store_in(away).save(plan(square, items(a=1)))


def test_a_missing_bucket_ends_a_save_with_one_line(bucket, square):
    gone = Bucket(bucket.endpoint, "no-such-bucket", bucket.cache)
    with pytest.raises(DatasetError, match="There is no bucket 'no-such-bucket'"):
        store_in(gone).save(plan(square, items(a=1)))
    assert square.seen() == []


def test_no_secret_is_in_what_is_put_copied_or_described(bucket, square):
    store = store_in(bucket)
    store.save(plan(square, items(a=1, b="surprise", c="damaged", d=4, e=5)))
    table = store.load()
    texts = [repr(store), str(store._describe()), repr(table), repr(table.entries)]
    texts += [repr(table.items(["text"]))]
    stored = [place.read_bytes() for place in bucket.place.rglob("*")]
    stored += [path.read_bytes() for path in bucket.cache.rglob("*") if path.is_file()]
    for secret in (KEY, SECRET):
        assert not any(secret in text for text in texts)
        assert not any(secret.encode() in content for content in stored)
