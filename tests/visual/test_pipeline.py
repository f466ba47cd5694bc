"""The visual pipeline, from the frames of real video files to embeddings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.media.encoding import ffmpeg, h264, picture
from tests.stages.items import item_of
from tests.stages.stores import stage_store
from tiktok_virality.datasets import (
    ArrayArchive,
    CheckpointFolder,
    SafetensorsModel,
)
from tiktok_virality.execution import StagePlan
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.pipelines.visual import create_pipeline
from tiktok_virality.pipelines.visual.nodes import train_autoencoder
from tiktok_virality.schema import DataError
from tiktok_virality.stages.frames import FrameExtractor
from tiktok_virality.training.parameters import AutoencoderTraining, EmbeddingParameters

MADE = create_pipeline().to_outputs("visual_embeddings", "reconstructions")
SPLITS = {"a": "train", "b": "train", "c": "validation", "d": "test", "broken": "train"}
TRAINING = AutoencoderTraining(epochs=1, batch_size=2, learning_rate=0.01)


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    videos = tmp_path / "videos"
    videos.mkdir()
    for index, name in enumerate("abcd", start=1):
        ffmpeg(*picture(seconds=index / 2), *h264(), videos / f"{name}.mp4")
    (videos / "broken.mp4").write_text("no video")
    inputs = {
        "splits": split_table(),
        "params:visual.autoencoder": ConvLSTMConfig(hidden=4),
        "params:visual.training": TRAINING,
        "params:visual.embedding": EmbeddingParameters(grid_height=2, grid_width=1),
        "params:visual.reconstructions": 4,
        "params:seed": 1,
        "params:device": "cpu",
    }
    stores = {
        name: stage_store(tmp_path / name, max_failure_share=0.5)
        for name in ("frames", "visual_embeddings")
    }
    stores["frames"].save(frames_of(sorted(videos.iterdir()), FrameSampling(shrink=64)))
    return DataCatalog(
        {
            **{name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()},
            **stores,
            "checkpoints": CheckpointFolder(filepath=str(tmp_path / "checkpoints")),
            "autoencoder": SafetensorsModel(filepath=str(tmp_path / "autoencoder")),
            "reconstructions": ArrayArchive(filepath=str(tmp_path / "reconstructions.npz")),
        }
    )


def frames_of(paths: list[Path], sampling: FrameSampling) -> StagePlan:
    return StagePlan(items=[item_of(path) for path in paths], transform=FrameExtractor(sampling))


def test_videos_become_embeddings_and_a_broken_one_is_accounted_for(catalog):
    SequentialRunner().run(MADE, catalog)
    embeddings = catalog.load("visual_embeddings")
    assert embeddings.ids == ["a", "b", "c", "d"]
    assert embeddings.absent == {"broken": "no frames: unreadable"}
    row = embeddings.row("d")
    assert row["tokens"].shape == (6, 2 * 4 * 2 * 1)
    assert row["tokens"].dtype == np.float16
    np.testing.assert_allclose(row["timestamps_seconds"], np.arange(6) / 3, atol=1e-4)
    (epoch,) = catalog.load("autoencoder").history
    assert epoch["train_loss"] > 0
    assert epoch["validation_loss"] > 0
    drawn = catalog.load("reconstructions")
    assert list(drawn["video_id"]) == ["d"]
    assert drawn["reconstruction"].shape == drawn["original"].shape == (1, 6, 3, 16, 9)


class Recorded:
    """Frames that remember which clips were read."""

    def __init__(self, ids: list[str]) -> None:
        self.digests = dict.fromkeys(ids, "x")
        self.read: set[str] = set()

    def fingerprint_of(self, columns: list[str]) -> str:
        return f"frames with {columns}"

    def __contains__(self, video_id: object) -> bool:
        return video_id in self.digests

    def row(self, video_id: str, columns: list[str] | None = None) -> dict[str, np.ndarray]:
        self.read.add(video_id)
        pixels = np.full((2, 3, 6, 4), 90, np.uint8)
        row = {"pixels": pixels, "timestamps_seconds": np.arange(2, dtype=np.float32)}
        return {name: row[name] for name in columns or row}


def split_table() -> pd.DataFrame:
    return pd.DataFrame({"video_id": list(SPLITS), "split": list(SPLITS.values())})


def test_the_autoencoder_never_reads_a_test_clip(tmp_path):
    frames = Recorded(["a", "b", "c", "d"])
    config = ConvLSTMConfig(hidden=2)
    train_autoencoder(frames, split_table(), config, TRAINING, 1, "cpu", tmp_path)
    assert frames.read == {"a", "b", "c"}


def test_a_split_without_frames_stops_the_training_and_is_named(tmp_path):
    config = ConvLSTMConfig(hidden=2)
    with pytest.raises(DataError, match="validation split has frames"):
        train_autoencoder(
            Recorded(["a", "b", "d"]), split_table(), config, TRAINING, 1, "cpu", tmp_path
        )


def test_a_real_clip_of_any_shape_is_embedded(real_clips, catalog):
    files = [path for path in sorted(real_clips.glob("*.mp4")) if "bad" not in path.stem]
    names = [path.stem for path in files]
    roles = ["train", "validation", "test", *["train"] * len(names)][: len(names)]
    sparse = FrameSampling(every_nth=30, shrink=64, max_frames=4)
    catalog["frames"].save(frames_of(files, sparse))
    catalog["splits"] = MemoryDataset(pd.DataFrame({"video_id": names, "split": roles}))
    SequentialRunner().run(MADE, catalog)
    embeddings = catalog.load("visual_embeddings")
    assert embeddings.ids == names
    assert all(np.isfinite(row["tokens"]).all() for _, row in embeddings.rows())
