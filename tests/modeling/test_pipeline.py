"""The modeling pipeline on tokens in memory: who predicts what, and what nobody may learn from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tiktok_virality.datasets import SafetensorsModel, SkopsBaselines
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.pipelines.modeling import create_pipeline
from tiktok_virality.pipelines.modeling.nodes import assemble_clips
from tiktok_virality.schema import DataError
from tiktok_virality.training.parameters import TrainingParameters

COUNTS = {"train": 40, "validation": 12, "calibration": 8, "test": 12}
TRAINING = TrainingParameters(epochs=3, batch_size=8, learning_rate=0.003)
DEEP = ("visual_model", "audio_model", "early_fusion", "ensemble")
SILENT = {"train-0", "validation-0", "test-0"}


@dataclass
class Tokens:
    """Tokens by video id, as a stage table gives them."""

    by_id: dict[str, np.ndarray]
    fingerprint: str
    digests: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.digests = {key: str(value.sum()) for key, value in self.by_id.items()}

    def __contains__(self, video_id: object) -> bool:
        return video_id in self.by_id

    def row(self, video_id: str, columns: list[str] | None = None) -> dict[str, np.ndarray]:
        return {"tokens": self.by_id[video_id]}


def corpus() -> dict[str, Any]:
    """Clips whose log views are a visual plus an audio level; three of them are silent."""
    rng = np.random.default_rng(0)
    visual, audio, rows = {}, {}, []
    for split, count in COUNTS.items():
        for index in range(count):
            video_id = f"{split}-{index}"
            seen, heard = rng.normal(size=2)
            visual[video_id] = rng.normal(seen, 1, (3 + index % 4, 6)).astype(np.float16)
            if video_id not in SILENT:
                audio[video_id] = rng.normal(heard, 1, (2 + index % 3, 5)).astype(np.float16)
            rows.append(
                {
                    "video_id": video_id,
                    "split": split,
                    "creator_id": None if index == 1 else f"{split}-{index // 3}",
                    "duration_seconds": 4.0 + index % 5,
                    "views": int(np.exp(9 + seen + heard)),
                }
            )
    table = pd.DataFrame(rows)
    return {
        "manifest": table.drop(columns="split").assign(duplicate_group=table["video_id"]),
        "splits": table[["video_id", "split"]],
        "visual_embeddings": Tokens(visual, "visual"),
        "audio_embeddings": Tokens(audio, "audio"),
    }


def run(inputs: dict[str, Any], folder: Path) -> dict[str, Any]:
    parameters = {
        "params:modeling.transformer": TransformerConfig(
            width=16, layers=1, heads=2, feedforward=32
        ),
        "params:modeling.training": TRAINING,
        "params:modeling.fine_tuning": TRAINING,
        "params:seed": 5,
        "params:device": "cpu",
        "checkpoints": folder / "checkpoints",
    }
    everything = {**inputs, **parameters}
    catalog = DataCatalog(
        {
            **{key: MemoryDataset(value, copy_mode="assign") for key, value in everything.items()},
            **{name: SafetensorsModel(filepath=str(folder / name)) for name in DEEP},
            "baselines": SkopsBaselines(filepath=str(folder / "baselines")),
            "predictions": MemoryDataset(),
        }
    )
    SequentialRunner().run(create_pipeline(), catalog)
    return {name: catalog.load(name) for name in ("predictions", "baselines", *DEEP)}


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict[str, Any]:
    return run(corpus(), tmp_path_factory.mktemp("checkpoints"))


def test_every_model_predicts_every_clip_of_every_split(result):
    predictions = result["predictions"]
    counts = predictions.pivot_table("video_id", "model", "split", aggfunc="nunique")
    assert (counts[list(COUNTS)] == list(COUNTS.values())).all(axis=None)
    assert set(counts.index) == {
        *result["baselines"],
        "visual",
        "audio",
        "early_fusion",
        "ensemble",
    }
    assert np.isfinite(predictions["y_pred"]).all()
    assert predictions[["lower", "upper"]].isna().all(axis=None)


def test_the_truth_is_log_views_of_the_manifest(result):
    views = corpus()["manifest"].set_index("video_id")["views"]
    predictions = result["predictions"]
    np.testing.assert_allclose(
        predictions["y_true"], np.log1p(views.loc[predictions["video_id"]].to_numpy())
    )


def test_a_clip_without_audio_is_given_the_training_mean_by_the_audio_model(result):
    predictions = result["predictions"].set_index(["model", "video_id"])["y_pred"]
    mean = predictions["training_mean", "test-0"]
    assert predictions["audio", "test-0"] == pytest.approx(mean)
    assert predictions["visual", "test-0"] != pytest.approx(mean)
    assert predictions["ensemble", "test-0"] != pytest.approx(mean)


def test_nothing_that_is_learned_depends_on_the_test_split(result, tmp_path):
    changed = corpus()
    test = changed["splits"]["split"].to_numpy() == "test"
    changed["manifest"].loc[test, ["views", "duration_seconds"]] = [10**9, 170.0]
    for name in ("visual_embeddings", "audio_embeddings"):
        tokens = changed[name].by_id
        moved = {key: value + 50 * key.startswith("test") for key, value in tokens.items()}
        changed[name] = Tokens(moved, changed[name].fingerprint)
    other = run(changed, tmp_path)
    for name in DEEP:
        assert other[name].digest == result[name].digest, name
    held_in = result["predictions"]["split"] != "test"
    pd.testing.assert_series_equal(
        other["predictions"]["y_pred"][held_in], result["predictions"]["y_pred"][held_in]
    )


def test_changed_views_of_the_validation_split_move_no_weight_of_the_readout(result, tmp_path):
    changed = corpus()
    validation = changed["splits"]["split"].to_numpy() == "validation"
    changed["manifest"].loc[validation, "views"] = 1
    other = run(changed, tmp_path)
    for name in DEEP:
        assert other[name].target == result[name].target
        for key, value in result[name].state.items():
            if key.startswith("readout.") or ".scale." in key:
                assert torch.equal(other[name].state[key], value), (name, key)


def test_nothing_is_trained_on_splits_that_share_a_creator():
    inputs = corpus()
    inputs["manifest"] = inputs["manifest"].assign(creator_id="the same everywhere")
    with pytest.raises(DataError, match="creator_id is in more than one split"):
        assemble_clips(**inputs)
