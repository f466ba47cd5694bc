"""The resident engine: what stages have loaded serves the next run, too."""

from __future__ import annotations

from dataclasses import dataclass, field

from tiktok_virality.datasets.stage_store import make_engine
from tiktok_virality.execution import BatchReport, Done, Resources, StageItem, StageWork
from tiktok_virality.execution.resident import ResidentEngine

LOADED: list[str] = []


@dataclass
class Loader:
    """Costly to load; says by whom an item was done."""

    model: str
    owner: str
    loaded: bool = field(default=False, init=False)

    def identity(self):
        return {"model": self.model}

    def setup(self) -> None:
        self.loaded = True
        LOADED.append(self.owner)

    def __call__(self, items):
        assert self.loaded
        return [Done(video_id=item.video_id, columns={"by": self.owner}) for item in items]


def run(transform: Loader) -> list[str]:
    written = []

    def write(items, outcomes) -> None:
        written.extend(outcome.columns["by"] for outcome in outcomes)

    item = StageItem(video_id="a", digest="a", payload=None)
    work = StageWork(transform=transform, write=write)
    reports = ResidentEngine().run([[item], [item]], work, Resources())
    assert sum(reports, BatchReport()).done == 2
    return written


def test_equal_transforms_are_set_up_once_and_others_for_themselves():
    LOADED.clear()
    assert run(Loader("small", "first")) == ["first", "first"]
    assert run(Loader("small", "second")) == ["first", "first"]
    assert run(Loader("large", "third")) == ["third", "third"]
    assert LOADED == ["first", "third"]


def test_a_catalog_names_it():
    assert isinstance(make_engine({"type": "resident"}), ResidentEngine)
