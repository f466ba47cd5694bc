"""Videos, posts, tables, models and trainings in a bucket."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, DatasetError

from tests.buckets import KEY, SECRET, Bucket
from tests.media.encoding import ffmpeg, h264, picture
from tests.training.test_training import PARAMETERS, SPEC, TRAIN, VALIDATION, same_weights
from tiktok_virality.datasets import (
    CheckpointFolder,
    CollectionFolder,
    PostMetadata,
    SafetensorsModel,
    StageStore,
    VideoFolder,
)
from tiktok_virality.datasets.forget_list import ForgetList
from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.pipelines.ingestion.nodes import probe_videos
from tiktok_virality.storage.file_system import serve_fsspec
from tiktok_virality.training import kept_checkpoints, launcher
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.predictors import train_predictor

TABLE = pd.DataFrame({"video_id": ["7106594312292453675", "b"], "views": [3.0, 4.5]})


def entry(bucket: Bucket, kind: str, name: str, **options) -> dict:
    place = {"filepath": f"{bucket.address}/{name}", "credentials": "storage"}
    return {"type": kind, **place, **options}


@pytest.fixture
def catalog(bucket: Bucket) -> DataCatalog:
    serve_fsspec()
    ours = "tiktok_virality.datasets"
    entries = {
        "table": entry(bucket, f"{ours}.ParquetTable", "table.parquet"),
        "sheet": entry(bucket, f"{ours}.SpreadsheetCSV", "sheet.csv", save_args={"index": False}),
        "optional": entry(bucket, f"{ours}.optional_json.OptionalJSON", "optional.json"),
        "json": entry(bucket, "json.JSONDataset", "plain.json"),
        "text": entry(bucket, "text.TextDataset", "page.html"),
        "arrays": entry(bucket, f"{ours}.ArrayArchive", "arrays.npz"),
        "list": entry(bucket, f"{ours}.ForgetListFile", "forgotten.json"),
        "lines": entry(bucket, f"{ours}.JsonLines", "lines.jsonl", columns=["video_id", "views"]),
    }
    return DataCatalog.from_config(entries, {"storage": bucket.credentials})


def test_tables_and_documents_come_back(catalog, bucket):
    values = {
        "table": TABLE,
        "sheet": pd.DataFrame({"text": ["=1+1", "b"], "views": [1, 2]}),
        "optional": {"a": 1},
        "json": [{"video_id": "b"}],
        "text": "<p>é</p>",
    }
    assert not catalog.exists("table") and catalog["optional"].load() is None
    for name, value in values.items():
        catalog[name].save(value)
        found = catalog[name].load()
        if isinstance(value, pd.DataFrame):
            pd.testing.assert_frame_equal(found, value, check_dtype=False)
        else:
            assert found == value
        assert catalog.exists(name)
    catalog["arrays"].save({"x": np.arange(3)})
    np.testing.assert_array_equal(catalog["arrays"].load()["x"], np.arange(3))
    catalog["list"].save(ForgetList().with_videos(["b"]))
    assert "b" in catalog["list"].load()
    for _ in range(2):
        catalog["lines"].save(TABLE)
    assert len(catalog["lines"].load()) == 4
    said = repr(catalog) + "".join(repr(catalog[name]) for name in values)
    assert SECRET not in said and KEY not in said


def test_what_is_forgotten_leaves_tables_and_documents(catalog):
    names = Forgotten.of(["7106594312292453675"], [], ForgetList())
    catalog["table"].save(TABLE)
    catalog["optional"].save({"7106594312292453675": 1, "b": 2})
    catalog["lines"].save(TABLE)
    for name in ("table", "optional", "lines"):
        assert catalog[name].forget(names) == 1
    assert list(catalog["table"].load()["video_id"]) == ["b"]
    assert catalog["optional"].load() == {"b": 2}


def test_a_damaged_table_is_named(catalog, bucket):
    catalog["table"].save(TABLE)
    stored = bucket.place / "table.parquet"
    bucket.damage(stored, stored.read_bytes().index(b"7106594312292453675"))
    with pytest.raises(DatasetError, match="is damaged"):
        catalog["table"].load()


def test_workers_decode_videos_that_lie_in_a_bucket(bucket, tmp_path):
    ffmpeg(*picture(1), *h264(), tmp_path / "clip.mp4")
    videos = VideoFolder(filepath=f"{bucket.address}/01_raw/videos", credentials=bucket.credentials)
    assert not videos.exists()
    for name in ("7106", "folder/7107"):
        (bucket.place / "01_raw" / "videos" / f"{name}.mp4").put_file(tmp_path / "clip.mp4")
    (bucket.place / "01_raw" / "videos" / "7106.info.json").write_bytes(b"{}")
    found = videos.load()
    assert list(found) == ["7106", "folder/7107"]
    plan = probe_videos(posts_of(bucket), found)
    store = StageStore(
        filepath=f"{bucket.address}/probes",
        credentials=bucket.credentials,
        engine={"type": "local", "workers": 1},
    )
    store.save(plan)
    assert len(store.load()) == len(plan.items)
    names = Forgotten.of(["7106"], [], ForgetList())
    assert videos.forget(names) == 1
    assert list(videos.load()) == ["folder/7107"]
    assert not any(b"7106" in path.name.encode() for path in bucket.cache.rglob("*"))


def posts_of(bucket: Bucket) -> pd.DataFrame:
    posts = [{"id": "7106", "views": "21.1M", "url": "https://somewhere/7106"}]
    (bucket.place / "01_raw" / "metadata.json").write_bytes(json.dumps(posts).encode())
    metadata = PostMetadata(filepath=f"{bucket.address}/01_raw", credentials=bucket.credentials)
    table = metadata.load()
    return table.assign(video_id=table["id"], reason=None)


def test_a_model_is_put_as_a_whole_and_damage_is_found(bucket):
    weights = {"model.weight": torch.arange(64.0)}
    stored = SafetensorsModel(
        filepath=f"{bucket.address}/06_models/model", credentials=bucket.credentials
    )
    assert not stored.exists()
    stored.save(TrainedModel(spec=SPEC, state=weights))
    assert torch.equal(stored.load().state["model.weight"], weights["model.weight"])
    bucket.damage(bucket.place / "06_models" / "model" / "weights.safetensors", 200)
    with pytest.raises(DatasetError, match=r"is damaged: weights.safetensors"):
        stored.load()
    stored.save(TrainedModel(spec=SPEC, state=weights))
    assert stored.load().spec == SPEC


def run_in(bucket: Bucket) -> TrainingRun:
    folder = CheckpointFolder(
        filepath=f"{bucket.address}/06_models/checkpoints", credentials=bucket.credentials
    )
    return TrainingRun.of("visual", [], checkpoints=folder.load(), seed=3, device="cpu")


def test_another_machine_goes_on_with_a_training(bucket, tmp_path, monkeypatch):
    def lose_the_machine(name, epoch, losses) -> None:
        if epoch == 3:
            raise RuntimeError("the power went out")

    whole = train_predictor(
        SPEC,
        TRAIN,
        VALIDATION,
        PARAMETERS,
        TrainingRun.of("visual", [], checkpoints=tmp_path / "disk", seed=3, device="cpu"),
    )
    monkeypatch.setattr(kept_checkpoints, "PUT_EVERY_SECONDS", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(launcher, "log_epoch", lose_the_machine)
        with pytest.raises(RuntimeError, match="power"):
            train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run_in(bucket))
    epochs: list[int] = []
    monkeypatch.setattr(launcher, "log_epoch", lambda name, epoch, losses: epochs.append(epoch))
    second = run_in(bucket.on_another_machine(tmp_path / "second"))
    resumed = train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, second)
    assert epochs == [3, 4, 5]
    assert same_weights(whole, resumed)
    third = run_in(bucket.on_another_machine(tmp_path / "third"))
    assert same_weights(whole, train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, third))
    assert epochs == [3, 4, 5]


def test_nobody_collects_into_a_bucket(bucket):
    folder = CollectionFolder(
        filepath=f"{bucket.address}/01_raw",
        path=f"{bucket.address}/01_raw/videos",
        credentials=bucket.credentials,
    )
    with pytest.raises(DatasetError, match="Videos cannot be collected into s3://"):
        folder.load()
