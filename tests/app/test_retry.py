"""Asking for another attempt at what failed."""

from __future__ import annotations

from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset

from tests.stages.items import AsTheyAre
from tiktok_virality.app.retry import retry
from tiktok_virality.datasets import StageStore
from tiktok_virality.execution import Resources, StageItem, StagePlan
from tiktok_virality.schema import DataError


def save(store: StageStore, broken: dict[str, str]) -> None:
    items = [StageItem(video_id=name, digest=name, payload={"n": 1}) for name in "abc"]
    transform = AsTheyAre(broken=broken)
    store.save(StagePlan(items=items, transform=transform, resources=Resources(in_process=True)))


@pytest.fixture
def stores(tmp_path: Path) -> dict[str, StageStore]:
    stores = {name: StageStore(filepath=str(tmp_path / name)) for name in ("frames", "waveforms")}
    save(stores["frames"], {"a": "unreadable"})
    save(stores["waveforms"], {})
    return stores


def test_what_failed_is_tried_again_by_the_next_run(stores):
    catalog = DataCatalog({**stores, "posts": MemoryDataset(1)})
    save(stores["frames"], {})
    assert stores["frames"].load().ids == ["b", "c"]  # a verdict is kept
    assert retry(catalog) == {"frames": 1}
    save(stores["frames"], {})
    assert stores["frames"].load().ids == ["a", "b", "c"]
    assert retry(catalog) == {}


def test_a_stage_that_is_not_there_is_named_with_those_that_are(stores):
    with pytest.raises(DataError, match="no stage 'sounds'; there are frames, waveforms"):
        retry(DataCatalog(dict(stores)), "sounds")
