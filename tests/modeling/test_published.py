"""The published models beside ours: who reads their tokens, their faults, and folds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.modeling.test_cross_fitted import FOLDS, folded
from tests.modeling.test_pipeline import (
    MODALITIES,
    SEED,
    SILENT,
    TRAINING,
    Tokens,
    corpus,
)
from tests.stages.stores import stage_store
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.roles import PUBLISHED_MODELS
from tiktok_virality.pipelines import modeling, published, reporting
from tiktok_virality.pipelines.modeling.nodes import predict
from tiktok_virality.pipelines.published.nodes import assemble_published
from tiktok_virality.training.published import PublishedFaults

SHAPE = TransformerConfig(width=8, layers=1, heads=2, feedforward=8, readout=False)
TABLES = ("published_visual_embeddings", "published_audio_embeddings")


def with_states(inputs: dict[str, Any]) -> dict[str, Any]:
    """Add states [4, 6] of the picture and [3, 4] of the voice; some clips are silent."""
    rng = np.random.default_rng(3)
    ids = list(inputs["manifest"]["video_id"])
    voices = [video_id for video_id in ids if video_id not in SILENT]
    shapes = {"published_visual_embeddings": (ids, (4, 6)), TABLES[1]: (voices, (3, 4))}
    return inputs | {
        name: Tokens({i: rng.normal(size=shape).astype(np.float16) for i in known}, name)
        for name, (known, shape) in shapes.items()
    }


def run(inputs: dict[str, Any], folder: Path, faults: PublishedFaults, *wanted: str) -> Any:
    given = inputs | {
        "params:published.transformer": SHAPE,
        "params:published.training": TRAINING,
        "params:published.faults": faults,
        "params:modeling.target": TargetParameters(),
        "params:modeling.repeats": 1,
        "params:seed": SEED,
        "params:device": "cpu",
        "checkpoints": folder / "checkpoints",
    }
    catalog = DataCatalog(
        {name: MemoryDataset(value, copy_mode="assign") for name, value in given.items()}
        | {name: MemoryDataset(copy_mode="assign") for name in wanted}
        | {"published_trained_again": stage_store(folder / "trained_again")}
    )
    made = published.create_pipeline().from_inputs(*TABLES).to_outputs(*wanted)
    SequentialRunner().run(made, catalog)
    return [catalog.load(name) for name in wanted]


def test_each_published_model_predicts_every_clip_of_every_split(tmp_path):
    inputs = with_states(corpus())
    (predictions,) = run(inputs, tmp_path, PublishedFaults(), "published_predictions")
    assert set(predictions["model"]) == set(PUBLISHED_MODELS)
    assert len(predictions) == len(PUBLISHED_MODELS) * len(inputs["manifest"])
    assert np.isfinite(predictions["y_pred"]).all()
    voice = predictions.query("model == 'published_audio'").set_index("video_id")["y_pred"]
    mean = predictions.query("model == 'published_audio' and split == 'train'")["y_true"].mean()
    assert np.allclose(voice[list(SILENT)], mean)


def test_where_every_clip_is_tested_they_are_trained_for_every_fold(tmp_path):
    (predictions,) = run(
        with_states(folded()), tmp_path, PublishedFaults(), "published_predictions"
    )
    tested = predictions[predictions["split"] == "test"]
    assert tested.groupby("model")["video_id"].nunique().eq(len(folded()["manifest"])).all()
    means = tested.query("model == 'published_audio'").set_index("video_id")["y_pred"]
    silent = means[sorted(SILENT)]
    assert silent.nunique() == len(
        {*folded()["splits"].set_index("video_id").loc[list(SILENT)].iloc[:, -1]}
    )
    assert FOLDS > 1


def test_by_default_no_truth_of_the_test_split_moves_a_published_weight(tmp_path):
    changed = with_states(corpus())
    test = changed["splits"].query("split == 'test'")["video_id"]
    rows = changed["manifest"]["video_id"].isin(test)
    changed["manifest"].loc[rows, "views"] *= 1000
    for faults, expected_same in (
        (PublishedFaults(), True),
        (PublishedFaults(scaler_sees_held_out=True), False),
    ):
        before, after = (
            run(inputs, tmp_path / f"{number}{expected_same}", faults, "published_predictions")[0]
            for number, inputs in enumerate((with_states(corpus()), changed))
        )
        assert np.allclose(before["y_pred"], after["y_pred"]) == expected_same


def test_the_scaler_that_sees_held_out_truth_is_fitted_on_it_alone():
    inputs = with_states(corpus())
    main, _ = assemble_published(
        inputs["manifest"],
        inputs["splits"],
        TargetParameters(),
        PublishedFaults(scaler_sees_held_out=True),
        published_visual=inputs[TABLES[0]],
        published_audio=inputs[TABLES[1]],
    )
    assert main.scaled_by == "test"


def test_our_models_never_see_the_published_tables():
    """Their own pipeline reads them; of it, the others see predictions and losses alone."""
    with_published = modeling.create_pipeline(MODALITIES, published=True)
    readers = [node.name for node in with_published.nodes if set(TABLES) & set(node.inputs)]
    assert readers
    assert all(name.startswith("published.") for name in readers)
    for made in (modeling.create_pipeline(MODALITIES), reporting.create_pipeline(MODALITIES)):
        assert not any("published" in name for name in made.datasets())
    reported = reporting.create_pipeline(MODALITIES, published=True).inputs()
    assert not set(TABLES) & set(reported)


def test_published_predictions_are_added_and_change_no_other():
    table = folded()["manifest"][["video_id"]].assign(model="ensemble")
    added = table.assign(model="published")
    from tests.modeling.test_cross_fitted import assembled_all

    model_input, _ = assembled_all(folded())
    alone = predict(model_input, {}, {}, {}, table, SEED)
    both = predict(model_input, {}, {}, {}, table, SEED, published_predictions=added)
    assert both[: len(alone)].equals(alone)
    assert set(both["model"][len(alone) :]) == {"published"}


@pytest.mark.parametrize("model", PUBLISHED_MODELS)
def test_each_is_a_node_of_the_pipeline(model):
    assert f"{model}_model" in modeling.create_pipeline(published=True).all_outputs()
