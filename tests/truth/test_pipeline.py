"""The benchmark's wiring: worlds apart, clips shared, and one world run from tokens to page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.modeling.test_pipeline import Tokens
from tests.stages.stores import stage_store
from tests.truth.conftest import MODELS, READ, SEED, drawn_worlds
from tiktok_virality.datasets import SafetensorsModel, SkopsBaselines
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.planting import plan_clips, spoken_score, visual_score
from tiktok_virality.demo.senses import PICTURE, SOUND
from tiktok_virality.evaluation.config import CertaintyParameters, ReportingParameters
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.pipelines.truth import create_pipeline
from tiktok_virality.pipelines.truth.worlds import TRUTH_WORLDS
from tiktok_virality.training.parameters import SplitStudyParameters, TrainingParameters

WORLD = "visual"
SHAPE = TransformerConfig(width=8, layers=1, heads=2, feedforward=8)
TRAINING = TrainingParameters(epochs=2, batch_size=16, learning_rate=0.003)
SHARES = {"train": 60, "validation": 20, "calibration": 24, "test": 24}
PARAMETERS = {
    "modeling.transformer": SHAPE,
    "modeling.training": TRAINING,
    "modeling.fine_tuning": TRAINING,
    "modeling.target": TargetParameters(),
    "modeling.memory_gb": 1.0,
    "modeling.repeats": 2,
    "modeling.split_study": SplitStudyParameters(models=("ridge",), redraws=2),
    "ingestion.splits": SplitParameters(),
    "certainty": CertaintyParameters(),
    "reporting": ReportingParameters(confidence=0.9, sign_flips=200, sample_clips=1),
    "seed": SEED,
    "device": "cpu",
}


def corpus() -> dict[str, Any]:
    """Clips whose tokens show the planted scores plainly; four creators in each split at least."""
    clips = plan_clips(DemoParameters(clips=sum(SHARES.values()), creators=32), SEED)
    names = np.repeat(list(SHARES), list(SHARES.values()))
    creators = [f"{split}-{index // 4}" for index, split in enumerate(names)]
    rng = np.random.default_rng(0)
    seen, heard = visual_score(clips), spoken_score(clips, SEED)
    silent = (clips["sound"] == "none").to_numpy()
    ids = clips["video_id"].tolist()
    return {
        "demo_clips": clips,
        "manifest": pd.DataFrame(
            {
                "video_id": ids,
                "creator_id": creators,
                "duplicate_group": ids,
                "posted_at": clips["posted_at"],
                "duration_seconds": clips["duration_seconds"],
                "width": clips["width"],
                "height": clips["height"],
                "fps": clips["fps"].astype(float),
                "has_audio": ~silent,
                "caption": clips["caption"],
                "hashtags": "synthetic demo",
                "views": clips["views"],
            }
        ),
        "splits": pd.DataFrame({"video_id": ids, "split": names}),
        "visual_embeddings": Tokens(
            {i: rng.normal(s, 0.3, (4, 3)) for i, s in zip(ids, seen, strict=True)}, "v"
        ),
        "audio_embeddings": Tokens(
            {
                i: rng.normal(h, 0.3, (3, 2))
                for i, h, nothing in zip(ids, heard, silent, strict=True)
                if not nothing
            },
            "a",
        ),
    }


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> DataCatalog:
    """The catalog after one world was run; the other worlds were not."""
    folder: Path = tmp_path_factory.mktemp("world")
    inputs = {
        **corpus(),
        **{f"params:{name}": value for name, value in PARAMETERS.items()},
        **{f"{name}_findings": None for name in TRUTH_WORLDS if name != WORLD},
        "checkpoints": folder / "checkpoints",
    }
    kept = ("judged_predictions", "model_input", "manifest")
    made = DataCatalog(
        {
            **{
                name: MemoryDataset(value, copy_mode="assign")
                for name, value in inputs.items()
                if value is not None
            },
            **{name: Nothing() for name, value in inputs.items() if value is None},
            **{
                f"{WORLD}.{name}": SafetensorsModel(filepath=str(folder / name))
                for name in ("visual_model", "audio_model", "early_fusion", "ensemble")
            },
            f"{WORLD}.baselines": SkopsBaselines(filepath=str(folder / "baselines")),
            f"{WORLD}.model_input": Kept(),
            f"{WORLD}.trained_again": stage_store(folder / "trained_again"),
            **{f"{WORLD}.{name}": Kept() for name in kept},
            **{name: Kept() for name in ("truth", "truth_page", "reached_plot", "leak_plot")},
            "lottery_findings": MemoryDataset(drawn_worlds(), copy_mode="assign"),
        }
    )
    SequentialRunner().run(create_pipeline(READ).filter(tags=[WORLD]), made)
    return made


class Nothing(MemoryDataset):
    """What was not made yet: loading gives ``None``, as from an optional file."""

    def load(self) -> None:
        return None

    def _exists(self) -> bool:
        return True


class Kept(MemoryDataset):
    """What the runner may not throw away."""

    def __init__(self) -> None:
        super().__init__(copy_mode="assign")

    def release(self) -> None:
        pass


def test_one_world_ends_in_the_page(catalog):
    truth = catalog.load("truth")
    assert [each["world"] for each in truth["worlds"]] == [WORLD]
    assert truth["missing"] == [name for name in TRUTH_WORLDS if name != WORLD]
    [found] = truth["worlds"]
    models = {score["model"] for score in found["scores"]}
    assert models == {
        *MODELS,
        *("planted_picture", "planted_sound", "planted_both", "planted_boosting"),
    }
    assert found["reachable"][PICTURE] > 0.6
    assert found["reachable"][SOUND] < 0.1
    assert "Not run yet: spoken" in catalog.load("truth_page")


def test_tokens_that_show_the_truth_are_read(catalog):
    [found] = catalog.load("truth")["worlds"]
    reached = {score["model"]: score["r2"] for score in found["scores"]}
    assert reached["ridge_visual"] > 0.4
    assert reached["ridge_audio"] < 0.2


def test_views_are_those_of_the_world(catalog):
    model_input = catalog.load(f"{WORLD}.model_input")
    assert model_input.label == WORLD
    views = catalog.load(f"{WORLD}.manifest").set_index("video_id")["views"]
    test = model_input.splits["test"]
    np.testing.assert_allclose(test.log_views, np.log1p(views.loc[list(test.ids)]))
    assert not views.equals(catalog.load("manifest").set_index("video_id")["views"])


def test_checkpoints_of_a_world_lie_in_its_folder(catalog):
    folder = catalog.load("checkpoints")
    assert [each.name for each in folder.iterdir()] == [WORLD]
    assert len(list((folder / WORLD).glob("*-*"))) == 2 * 4  # models, under two seeds


def test_worlds_share_nothing_but_clips_splits_and_embeddings():
    everything = create_pipeline(READ)
    assert {name for name in everything.inputs() if not name.startswith("params:")} == {
        *("demo_clips", "manifest", "splits"),
        *("visual_embeddings", "audio_embeddings", "checkpoints"),
    }
    for world in TRUTH_WORLDS:
        mine = [node for node in everything.nodes if (node.namespace or "").startswith(world)]
        read = {name for node in mine for name in node.inputs}
        others = tuple(f"{other}." for other in TRUTH_WORLDS if other != world)
        assert not [name for name in read if name.startswith(others)]
        assert len(mine) > 15


def test_a_world_is_run_by_its_tag():
    chosen = create_pipeline(READ).filter(tags=["noise"])
    worlds = {(node.namespace or "").split(".")[0] for node in chosen.nodes} & set(TRUTH_WORLDS)
    assert worlds == {"noise"}
    assert {"truth", "truth_page"} <= chosen.outputs() | {
        name for node in chosen.nodes for name in node.outputs
    }
