"""A stage that takes several cuts from one reading: each is kept, and made again, by itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from tests.stages.stores import stage_store
from tiktok_virality.datasets import StageStore
from tiktok_virality.datasets.part_files import PartWriter, open_part
from tiktok_virality.execution import Cut, Done, Failed, Outcome, Resources, StageItem, StagePlan

HERE = Resources(in_process=True)
COLUMNS = {"small": ("pixels", "seconds"), "large": ("stills",)}


@dataclass
class Reader:
    """Reads words: their letters as pixels, and the word itself as a still, in some size each."""

    small: int = 1
    large: int = 1
    taken: tuple[str, ...] = tuple(COLUMNS)
    read: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    def identity(self) -> Mapping[str, Any]:
        return {name: cut.identity for name, cut in self.cuts().items() if name in self.taken}

    def cuts(self) -> Mapping[str, Cut]:
        sizes = {"small": self.small, "large": self.large}
        return {n: Cut(identity={n: sizes[n]}, columns=columns) for n, columns in COLUMNS.items()}

    def only(self, names: Collection[str]) -> Reader:
        return replace(self, taken=tuple(names))

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        return [self._outcome(item) for item in items]

    def _outcome(self, item: StageItem) -> Outcome:
        self.read.append((item.video_id, self.taken))
        if item.payload is None:
            return Failed(video_id=item.video_id, reason="unreadable", detail="nothing there")
        made = {
            "small": {"pixels": np.full(3, self.small, np.uint8), "seconds": np.zeros(3)},
            "large": {"stills": np.full(2, self.large, np.uint8)},
        }
        taken = {name: value for cut in self.taken for name, value in made[cut].items()}
        return Done(video_id=item.video_id, columns=taken)


def plan_of(words: Sequence[str], reader: Reader) -> StagePlan:
    items = [StageItem(video_id=w, digest=w, payload=None if w == "bad" else w) for w in words]
    return StagePlan(items=items, transform=reader, batch_size=2, resources=HERE)


@pytest.fixture
def store(tmp_path) -> StageStore:
    return stage_store(tmp_path / "frames")


def test_one_reading_gives_every_cut(store):
    reader = Reader()
    store.save(plan_of(["a", "b", "c"], reader))
    table = store.load()
    assert reader.read == [(word, ("small", "large")) for word in "abc"]
    assert table.columns == ["pixels", "seconds", "stills"]
    assert set(table.row("a")) == {"pixels", "seconds", "stills"}
    [first, *_] = table.items(["stills", "seconds"])
    assert list(first.payload.load()) == ["seconds", "stills"]
    with pytest.raises(KeyError, match="No column 'colour'; there are"):
        table.items(["colour"])


def test_a_changed_setting_makes_anew_what_hangs_on_it_and_nothing_else(store):
    store.save(plan_of(["a", "b"], Reader()))
    before = store.load()
    reader = Reader(large=2)
    store.save(plan_of(["a", "b"], reader))
    after = store.load()
    assert reader.read == [("a", ("large",)), ("b", ("large",))]
    assert after.row("b")["stills"].tolist() == [2, 2]
    assert after.row("b")["pixels"].tolist() == [1, 1, 1]
    assert after.items(["pixels"]) == before.items(["pixels"])
    assert after.items(["stills"])[0].digest != before.items(["stills"])[0].digest
    assert after.items(["pixels", "stills"])[0].digest != before.items(["stills"])[0].digest
    assert after.fingerprint_of(["pixels"]) == before.fingerprint_of(["seconds"])


def test_going_back_to_earlier_settings_reads_nothing_and_older_ones_go(store, tmp_path):
    for large in (1, 2):
        store.save(plan_of(["a"], Reader(large=large)))
    back = Reader(large=1)
    store.save(plan_of(["a"], back))
    assert back.read == []
    store.save(plan_of(["a"], Reader(small=2, large=3)))
    folders = [path for path in (tmp_path / "frames").iterdir() if path.is_dir()]
    assert len(folders) == 4  # the latest two of each cut


def test_what_is_new_is_read_for_all_cuts_and_what_is_old_for_what_it_lacks(store):
    store.save(plan_of(["a"], Reader()))
    reader = Reader(large=2)
    store.save(plan_of(["a", "b"], reader))
    assert sorted(reader.read) == [("a", ("large",)), ("b", ("small", "large"))]
    assert store.last_report.done == 2


def test_a_damaged_part_costs_its_own_cut(store):
    store.save(plan_of(["a", "b"], Reader()))
    [large] = {entry.part for entry in store.load().cuts[1].entries.values()}
    large.write_bytes(large.read_bytes()[:-200])
    open_part.cache_clear()
    assert not store.exists()
    reader = Reader()
    store.save(plan_of(["a", "b"], reader))
    assert reader.read == [("a", ("large",)), ("b", ("large",))]
    assert store.load().row("a")["stills"].tolist() == [1, 1]


def test_a_save_that_ends_between_two_cuts_is_completed(store, monkeypatch):
    write, written = PartWriter.__call__, []

    def write_one(writer, items, outcomes):
        if len(written) == 1:
            raise KeyboardInterrupt
        written.append(items)
        write(writer, items, outcomes)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PartWriter, "__call__", write_one)
        store.save(plan_of(["a", "b"], Reader()))
    assert not store.exists()
    reader = Reader()
    store.save(plan_of(["a", "b"], reader))
    assert reader.read == [("a", ("large",)), ("b", ("large",))]
    assert store.load().ids == ["a", "b"]


def test_a_failure_is_one_whatever_was_to_be_taken(store):
    reader = Reader()
    store.save(plan_of(["a", "bad", "b"], reader))
    table = store.load()
    assert table.ids == ["a", "b"]
    assert table.failed["video_id"].tolist() == ["bad"]
    assert store.retry() == 1
    again = Reader()
    store.save(plan_of(["a", "bad", "b"], again))
    assert again.read == [("bad", ("small", "large"))]


def test_what_was_kept_before_there_were_cuts_goes_when_they_are_complete(store, tmp_path):
    class Whole(Reader):
        """The same, as one piece."""

        cuts = only = None

        def identity(self) -> Mapping[str, Any]:
            return {"small": self.small, "large": self.large}

    store.save(plan_of(["a"], Whole()))
    [old] = [path for path in (tmp_path / "frames").iterdir() if path.is_dir()]
    assert store.load().columns == ["pixels", "seconds", "stills"]
    store.save(plan_of(["a"], Reader()))
    assert not old.exists()
    assert store.load().row("a")["stills"].tolist() == [1, 1]
