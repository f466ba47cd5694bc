"""The motion pipeline, from stored steps to embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.stages.items import AsTheyAre
from tests.stages.stores import stage_store
from tiktok_virality.execution import Done, Resources, StageItem, StagePlan
from tiktok_virality.media.motion import STEP
from tiktok_virality.models.motion_configs import MotionParameters
from tiktok_virality.pipelines.motion import create_pipeline
from tiktok_virality.stages.motion import MotionReader


def measured(video_id: str, frames: int) -> StageItem:
    """Return the steps of a clip whose frames are 0.1 seconds apart."""
    steps = np.random.default_rng(frames).random((frames - 1, len(STEP)), np.float32)
    row = {"steps": steps, "step_seconds": np.arange(frames, dtype=np.float32) / 10}
    return StageItem(video_id=video_id, digest=video_id, payload=row)


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    stores = {
        name: stage_store(tmp_path / name, max_failure_share=0.5)
        for name in ("frames", "motion_embeddings")
    }
    items = [measured("short", 2), measured("long", 26), measured("one", 1), measured("broken", 2)]
    stores["frames"].save(
        StagePlan(
            items=items,
            transform=AsTheyAre(broken={"broken": "unreadable"}),
            resources=Resources(in_process=True),
        )
    )
    return DataCatalog({**stores, "params:motion": MemoryDataset(MotionParameters())})


def test_steps_become_embeddings_once_and_what_has_none_is_accounted_for(catalog):
    for _ in range(2):
        SequentialRunner().run(create_pipeline(), catalog)
    embeddings = catalog.load("motion_embeddings")
    assert embeddings.absent == {"broken": "no frames: unreadable"}
    lengths = {name: len(embeddings.row(name)["tokens"]) for name in embeddings.ids}
    assert lengths == {"short": 1, "long": 6, "one": 1}
    row = embeddings.row("long")
    assert row["tokens"].dtype == np.float16
    assert row["tokens"].shape[1] == row["parts"].sum()
    np.testing.assert_allclose(row["timestamps_seconds"], np.arange(6) / 2)
    report = catalog["motion_embeddings"].last_report
    assert (report.done, report.skipped) == (0, 3)


def test_a_clip_alone_and_in_a_batch_has_equal_tokens():
    reader = MotionReader(0.5)

    class Row:
        def __init__(self, item: StageItem) -> None:
            self.row = item.payload

        def load(self) -> dict[str, np.ndarray]:
            return self.row

    clips = [measured(str(count), count) for count in (1, 7, 30)]
    items = [StageItem(video_id=i.video_id, digest="", payload=Row(i)) for i in clips]
    for item, together in zip(items, reader(items), strict=True):
        (alone,) = reader([item])
        assert isinstance(alone, Done)
        assert isinstance(together, Done)
        np.testing.assert_array_equal(alone.columns["tokens"], together.columns["tokens"])
