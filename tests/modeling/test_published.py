"""The published models beside ours: trained in every fold, scaled as asked, seen by nobody else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.modeling.test_cross_fitted import RECIPE, folded
from tests.modeling.test_pipeline import MODALITIES, SEED, SILENT, Tokens, corpus
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.modalities import STATES
from tiktok_virality.models.published_configs import PublishedFaults
from tiktok_virality.models.roles import PUBLISHED, role_of
from tiktok_virality.pipelines.modeling import create_pipeline
from tiktok_virality.pipelines.modeling.nodes import assemble_clips
from tiktok_virality.training.corpus import ModelInput, pooled
from tiktok_virality.training.lineup import Setting, train_all, train_model, train_published
from tiktok_virality.training.predictors import predict_log_views


def with_states(inputs: dict[str, Any]) -> tuple[ModelInput, list[ModelInput]]:
    """The clips with states: two of eight numbers of the picture, three of the sound."""
    rng = np.random.default_rng(3)
    ids = inputs["manifest"]["video_id"]
    states = {
        "published_visual": Tokens({i: rng.normal(size=(2, 8)) for i in ids}, "states"),
        "published_audio": Tokens(
            {i: rng.normal(size=(3, 8)) for i in ids if i not in SILENT}, "layers"
        ),
    }
    tables = {name: inputs[f"{name}_embeddings"] for name in MODALITIES}
    return assemble_clips(
        inputs["manifest"], inputs["splits"], TargetParameters(), **tables, **states
    )


def setting(folder) -> Setting:
    return Setting(seed=SEED, device="cpu", checkpoints=folder, quiet=True)


@pytest.fixture(scope="module")
def clips() -> ModelInput:
    return with_states(corpus())[0]


def test_states_are_no_modality(clips):
    assert clips.modalities == MODALITIES
    assert clips.state_shapes == {"published_visual": (2, 8), "published_audio": (3, 8)}
    train = clips.splits["train"]
    assert set(pooled(train, clips.token_sizes).modalities) == set(MODALITIES)
    assert all(not set(STATES) & set(clip.pooled) for clip in train.tokens)


def test_all_three_are_trained_for_a_fold_where_there_are_states_and_only_there(tmp_path):
    fold = with_states(folded())[1][1]
    quick = replace(RECIPE, training=RECIPE.training.model_copy(update={"epochs": 1}))
    predictions = train_all(fold, quick, setting(tmp_path), with_baselines=False)
    theirs = predictions[predictions["model"].isin(PUBLISHED)]
    assert theirs.groupby("model")["modality"].first().to_dict() == {
        **STATES,
        "published": "all",
    }
    assert (theirs.groupby("model").size() == len(predictions[predictions["model"] == "mlp"])).all()
    assert np.isfinite(theirs["y_pred"]).all()
    assert {role_of(name) for name in PUBLISHED} == {"published"}
    assert train_published(setting(tmp_path), replace(fold, state_shapes={}), quick) == []


def test_a_clip_without_states_is_given_the_training_mean(clips, tmp_path):
    model = train_model(
        *("published", clips, RECIPE.transformer, RECIPE.training, setting(tmp_path)),
        modality="published_audio",
    )
    test = clips.splits["test"]
    silent = [video_id in SILENT for video_id in test.ids]
    said = predict_log_views(model, test.tokens)
    mean = clips.splits["train"].log_views.mean()
    assert np.isclose(said, mean).tolist() == silent


def test_the_fault_of_the_scaler_reads_held_out_truth_and_without_it_nobody_does(clips, tmp_path):
    test = clips.splits["test"]
    moved = replace(
        clips, splits={**clips.splits, "test": replace(test, log_views=test.log_views + 5)}
    )
    for fault in (False, True):
        recipe = replace(RECIPE, faults=PublishedFaults(scaler_on_held_out=fault))
        before, after = (
            train_published(setting(tmp_path / str(place)), each, recipe)[-1]
            for place, each in enumerate((clips, moved))
        )
        assert (before.target == after.target) != fault
        if fault:
            assert before.target.mean == pytest.approx(test.log_views.mean())


def test_the_pipeline_has_them_where_they_are_asked_for_alone():
    wanted = {f"{name}_model" for name in PUBLISHED}
    made = create_pipeline(MODALITIES, published=True)
    assert wanted <= made.all_outputs()
    assert {f"{name}_embeddings" for name in STATES} <= made.inputs()
    plain = create_pipeline(MODALITIES)
    assert not wanted & plain.all_outputs()
    for name in ("novelty_model", "baselines", "early_fusion"):
        nodes = made.only_nodes_with_outputs(name).nodes
        assert not any(set(each.inputs) & wanted for each in nodes)
