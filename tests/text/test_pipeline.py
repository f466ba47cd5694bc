"""The text pipeline, from captions, transcripts and stills to embeddings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.stages.items import AsTheyAre
from tests.stages.stills import still_item
from tests.stages.stores import stage_store
from tests.text.test_screen_words import written
from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import Resources, StageItem, StagePlan
from tiktok_virality.models.text_configs import ScreenParameters, TextParameters
from tiktok_virality.pipelines.text import create_pipeline

pytest.importorskip("rapidocr", reason="extra `ocr` is not installed")


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    names = ("frames", "audio_embeddings", "screen_words", "text_embeddings")
    stores = {name: stage_store(tmp_path / name) for name in names}
    here = Resources(in_process=True)
    stills = [
        still_item("a", written("HOT PAN")),
        still_item("b", written()),
        still_item("c", written()),
    ]
    stores["frames"].save(StagePlan(items=stills, transform=AsTheyAre(), resources=here))
    said = {"a": {"text": "add some salt"}, "b": {"text": ""}, "c": None}
    spoken = [StageItem(video_id=k, digest=k, payload=v) for k, v in said.items()]
    stores["audio_embeddings"].save(
        StagePlan(items=spoken, transform=AsTheyAre(absent={"c": "silent"}), resources=here)
    )
    manifest = pd.DataFrame(
        {"video_id": list("abc"), "caption": [None, None, "x" * 9], "hashtags": ["", "", "#fun"]}
    )
    given = {
        "manifest": manifest,
        "params:text": TextParameters(max_characters=5),
        "params:text.screen": ScreenParameters(),
    }
    return DataCatalog({**stores, **{name: MemoryDataset(value) for name, value in given.items()}})


def run(catalog: DataCatalog) -> StageTable:
    SequentialRunner().run(create_pipeline(), catalog)
    table = catalog.load("text_embeddings")
    assert isinstance(table, StageTable)
    return table


def test_every_field_of_a_clip_is_kept(catalog):
    table = run(catalog)
    fields = ["caption", "hashtags", "transcript", "screen"]
    assert table.row("a", fields) == {
        "caption": "",
        "hashtags": "",
        "transcript": "add s",
        "screen": "HOT P",
    }
    assert table.row("c", fields)["caption"] == "xxxxx"


def test_a_clip_without_any_word_is_absent(catalog):
    assert run(catalog).absent == {"b": "no words"}


def test_people_read_the_words_in_a_table_with_gaps(catalog):
    run(catalog)
    texts = catalog.load("texts").set_index("video_id")
    assert texts.loc["a", ["transcript", "screen"]].tolist() == ["add s", "HOT P"]
    assert texts.loc["c", "caption"] == "xxxxx"
    assert texts.isna().to_numpy().tolist() == [
        [True, True, False, False],
        [False, False, True, True],
    ]


def test_without_any_words_the_table_is_empty(catalog):
    manifest = catalog.load("manifest").iloc[1:2]
    catalog.save("manifest", manifest)
    run(catalog)
    texts = catalog.load("texts")
    assert texts.empty
    assert list(texts) == ["video_id", "caption", "hashtags", "transcript", "screen"]


def test_other_speech_on_the_same_clip_costs_one_clip(catalog):
    run(catalog)
    said = {"a": {"text": "oil first"}, "b": {"text": ""}, "c": None}
    items = [StageItem(video_id=k, digest=f"{k} anew", payload=v) for k, v in said.items()]
    spoken = StagePlan(
        items=items,
        transform=AsTheyAre(absent={"c": "silent"}),
        resources=Resources(in_process=True),
    )
    catalog.save("audio_embeddings", spoken)
    assert run(catalog).row("a", ["transcript"])["transcript"] == "oil f"
    assert catalog.get("text_embeddings").last_report.done == 1


def test_a_second_run_computes_nothing(catalog):
    run(catalog)
    run(catalog)
    for name in ("screen_words", "text_embeddings"):
        assert catalog.get(name).last_report.done == 0


def test_another_caption_costs_one_clip(catalog):
    run(catalog)
    manifest = catalog.load("manifest")
    manifest.loc[2, "caption"] = "y"
    catalog.save("manifest", manifest)
    run(catalog)
    assert catalog.get("text_embeddings").last_report.done == 1


def test_words_on_screen_can_be_switched_off(catalog):
    catalog["params:text.screen"] = MemoryDataset(ScreenParameters(enabled=False))
    table = run(catalog)
    assert table.row("a", ["screen", "transcript"]) == {"screen": "", "transcript": "add s"}
    assert set(catalog.load("screen_words").absent) == set("abc")
