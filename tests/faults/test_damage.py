"""What is stored and comes back otherwise is found, said, and made again; nothing else is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from kedro.io import DatasetError

from tests.execution.transforms import items
from tiktok_virality.datasets import StageStore
from tiktok_virality.datasets.part_files import open_part
from tiktok_virality.execution import Done, Resources, StagePlan
from tiktok_virality.schema import DamageError

COLUMNS = ("tokens", "stills", "words", "count")


class Describe:
    """Gives a clip a row with each kind of column, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def identity(self):
        return {}

    def setup(self) -> None:
        """Nothing to load."""

    def __call__(self, batch):
        self.asked += [item.video_id for item in batch]
        return [
            Done(
                video_id=item.video_id,
                columns={
                    "tokens": np.arange(6, dtype=np.float32).reshape(2, 3) + item.payload,
                    "stills": [b"one" * 20, b"two" * 10],
                    "words": {"said": "good morning"},
                    "count": item.payload,
                },
            )
            for item in batch
        ]


class Sound(Describe):
    """Gives a clip a waveform and a video, which are files of their own."""

    def __call__(self, batch):
        self.asked += [item.video_id for item in batch]
        return [
            Done(
                video_id=item.video_id,
                columns={
                    "samples": np.linspace(-0.5, 0.5, 800, dtype=np.float32),
                    "video": b"an mp4 of some length",
                },
            )
            for item in batch
        ]


def plan(transform: Describe, **numbers: int) -> StagePlan:
    return StagePlan(
        items=items(**numbers),
        transform=transform,
        batch_size=2,
        resources=Resources(in_process=True),
    )


@pytest.fixture
def store(tmp_path: Path) -> StageStore:
    return StageStore(
        filepath=str(tmp_path / "stage"),
        file_columns={"samples": {"suffix": ".wav"}, "video": {"suffix": ".mp4"}},
    )


def parts(store: StageStore) -> list[Path]:
    return sorted(Path(store._describe()["filepath"]).glob("*/*.arrow"))


def flip(path: Path, position: int) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        [byte] = file.read(1)
        file.seek(position)
        file.write(bytes([byte ^ 0x10]))
    open_part.cache_clear()  # as another process would find it


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)
    open_part.cache_clear()


def empty(path: Path) -> None:
    os.truncate(path, 0)
    open_part.cache_clear()


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))
    open_part.cache_clear()


@pytest.mark.parametrize("harm", [cut, empty, zero])
def test_a_part_that_is_cut_or_zeroed_is_computed_again_and_the_others_stay(
    store, caplog, harm: Callable[[Path], None]
):
    transform = Describe()
    store.save(plan(transform, a=1, b=2, c=3, d=4))
    [first, second] = parts(store)
    expected = {key: row["count"] for key, row in store.load().rows()}
    harmed = set(open_part(first)["video_id"].to_pylist())
    harm(first)
    transform.asked.clear()
    with caplog.at_level("WARNING"):
        store.save(plan(transform, a=1, b=2, c=3, d=4))
    assert set(transform.asked) == harmed
    assert f"{first} is damaged" in caplog.text
    assert first.with_name(first.name + ".damaged").exists()
    assert second in parts(store)
    assert {key: row["count"] for key, row in store.load().rows()} == expected


@pytest.mark.slow
def test_one_flipped_bit_anywhere_in_a_part_is_found_before_its_row_is_used(store):
    """At every byte of the file: by what plans, or by what reads the row."""
    store.save(plan(Describe(), a=1, b=2))
    [part] = parts(store)
    content = part.read_bytes()
    found = {"planning": 0, "reading": 0}
    for position in range(len(content)):
        part.write_bytes(content)
        flip(part, position)
        try:
            table = store.load()
        except DatasetError:
            found["planning"] += 1
            continue
        with pytest.raises(DamageError, match="run the same command again"):
            for _ in table.rows():
                pass
        found["reading"] += 1
    assert sum(found.values()) == len(content)
    assert found["reading"] == 2 * (6 * 4 + 90)  # the values, and no byte more


def test_a_row_that_is_damaged_is_made_again_by_the_same_command(store):
    transform = Describe()
    store.save(plan(transform, a=1, b=2, c=3))
    part = parts(store)[0]
    flip(part, part.read_bytes().index(b"oneone"))
    store.save(plan(transform, a=1, b=2, c=3))  # planning reads no values
    with pytest.raises(DamageError, match=r"'stills' of row \d is not what was written"):
        dict(store.load().rows())
    transform.asked.clear()
    store.save(plan(transform, a=1, b=2, c=3))
    assert len(transform.asked) in (1, 2)
    assert {row["stills"][0] for _, row in store.load().rows()} == {b"one" * 20}


class Mixed(Describe):
    """Gives clips arrays of other kinds, and nothing to one of them."""

    VALUES = (
        np.empty(0),
        np.arange(4, dtype=np.int16).reshape(2, 2),
        np.array([[True, False, True]]),
        np.array(["one", "two words"]),
        None,
        np.float32(3) * np.ones((2, 3, 4), np.float32)[:, ::2].transpose(2, 0, 1),
    )

    def __call__(self, batch):
        return [
            Done(video_id=item.video_id, columns={"value": self.VALUES[n]})
            for item in batch
            for n in [item.payload]
        ]


@pytest.mark.parametrize("pair", [(0, 1), (0, 5), (1, 4), (2, 2), (3, 3), (3, 4), (5, 5)])
def test_arrays_of_all_kinds_come_back_unharmed(store, pair):
    """Those of one batch are stored as one kind."""
    store.save(plan(Mixed(), a=pair[0], b=pair[1]))
    for number, (_, row) in zip(pair, store.load().rows(), strict=True):
        given = Mixed.VALUES[number]
        assert (row["value"] is None) == (given is None)
        assert given is None or np.array_equal(row["value"], given)


@pytest.mark.parametrize("name", ["a.wav", "a.mp4"])
def test_a_file_of_another_size_is_made_again_and_one_of_other_bytes_when_it_is_read(store, name):
    transform = Sound()
    store.save(plan(transform, a=1, b=2))
    [file] = Path(store._describe()["filepath"]).glob(f"*/{name}")
    content = file.read_bytes()
    cut(file)
    transform.asked.clear()
    store.save(plan(transform, a=1, b=2))
    assert transform.asked == ["a"]
    assert file.read_bytes() == content
    flip(file, len(content) - 3)
    with pytest.raises(DamageError, match=f"{name} is damaged"):
        store.load().row("a")
    store.save(plan(transform, a=1, b=2))
    assert transform.asked == ["a", "a"]
    assert file.read_bytes() == content


@pytest.mark.parametrize("harm", [cut, empty, zero])
def test_a_damaged_index_is_said_and_the_next_save_computes_nothing(store, harm):
    transform = Describe()
    store.save(plan(transform, a=1, b=2))
    harm(Path(store._describe()["filepath"]) / "index.parquet")
    with pytest.raises(DatasetError, match=r"index\.parquet is damaged"):
        store.load()
    transform.asked.clear()
    store.save(plan(transform, a=1, b=2))
    assert transform.asked == []
    assert store.load().ids == ["a", "b"]
