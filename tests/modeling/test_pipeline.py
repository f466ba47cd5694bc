"""The modeling pipeline on tokens in memory: who predicts what, and what nobody may learn from."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.stages.stores import stage_store
from tiktok_virality.datasets import SafetensorsModel, SkopsBaselines
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.models.baselines import baseline_names
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.roles import ROLES
from tiktok_virality.pipelines.modeling import create_pipeline
from tiktok_virality.pipelines.modeling.nodes import (
    assemble_clips,
    train_again,
    training_alone,
)
from tiktok_virality.schema import DataError
from tiktok_virality.tracking import child_runs
from tiktok_virality.training.baselines import fit_and_rehearse
from tiktok_virality.training.corpus import ModelInput, metadata_features, pooled
from tiktok_virality.training.lineup import predict_all
from tiktok_virality.training.parameters import SplitStudyParameters, TrainingParameters

COUNTS = {"train": 40, "validation": 12, "calibration": 8, "test": 12}
SEED = 5
TRAINING = TrainingParameters(epochs=3, batch_size=8, learning_rate=0.003)
MODALITIES = ("visual", "audio")
DEEP = ("visual_model", "audio_model", "early_fusion", "ensemble")
SILENT = {"train-0", "validation-0", "test-0"}


@dataclass
class Tokens:
    """Tokens by video id, as a stage table gives them."""

    by_id: dict[str, np.ndarray]
    fingerprint: str
    columns: tuple[str, ...] = ("tokens",)
    digests: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.digests = {key: str(value.sum()) for key, value in self.by_id.items()}

    def __contains__(self, video_id: object) -> bool:
        return video_id in self.by_id

    def row(self, video_id: str, columns: list[str] | None = None) -> dict[str, np.ndarray]:
        return {"tokens": self.by_id[video_id]}

    def shape_of(self, video_id: str, column: str) -> tuple[int, ...]:
        return self.by_id[video_id].shape


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
                    "width": 720,
                    "height": 1280,
                    "fps": 30.0,
                    "has_audio": video_id not in SILENT,
                    "caption": None if index % 7 == 0 else "word " * (index % 5),
                    "hashtags": "fyp cats"[: 4 * (index % 3)],
                    "posted_at": pd.Timestamp("2024-03-01", tz="UTC") + pd.Timedelta(hours=index),
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


def assembled(inputs: dict[str, Any], target: TargetParameters | None = None) -> ModelInput:
    return assembled_all(inputs, target)[0]


def assembled_all(
    inputs: dict[str, Any], target: TargetParameters | None = None
) -> tuple[ModelInput, list[ModelInput]]:
    return assemble_clips(
        inputs["manifest"],
        inputs["splits"],
        target or TargetParameters(),
        **{name: inputs[f"{name}_embeddings"] for name in MODALITIES},
    )


def run(
    inputs: dict[str, Any],
    folder: Path,
    repeats: int = 1,
    *,
    served_only: bool = False,
) -> dict[str, Any]:
    parameters = {
        "params:modeling.transformer": TransformerConfig(
            width=16, layers=1, heads=2, feedforward=32
        ),
        "params:modeling.training": TRAINING,
        "params:modeling.fine_tuning": TRAINING,
        "params:modeling.target": TargetParameters(),
        "params:modeling.memory_gb": 1.0,
        "params:modeling.repeats": repeats,
        "params:ingestion.splits": SplitParameters(),
        "params:modeling.split_study": SplitStudyParameters(models=("ridge",), redraws=2),
        "params:certainty": CertaintyParameters(),
        "params:seed": SEED,
        "params:device": "cpu",
        "checkpoints": folder / "checkpoints",
    }
    everything = {**inputs, **parameters}
    catalog = DataCatalog(
        {
            **{key: MemoryDataset(value, copy_mode="assign") for key, value in everything.items()},
            **{name: SafetensorsModel(filepath=str(folder / name)) for name in DEEP},
            "baselines": SkopsBaselines(filepath=str(folder / "baselines")),
            "trained_again": stage_store(folder / "trained_again"),
            "predictions": MemoryDataset(),
            "coverage": MemoryDataset(),
            "split_sensitivity": MemoryDataset(),
        }
    )
    measured = () if served_only else ("predictions", "baselines", "split_sensitivity", "coverage")
    wanted = (*measured, *DEEP)
    SequentialRunner().run(create_pipeline(MODALITIES).to_outputs(*wanted), catalog)
    return {name: catalog.load(name) for name in wanted}


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict[str, Any]:
    return run(corpus(), tmp_path_factory.mktemp("checkpoints"), repeats=2)


def of_main_seed(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions[predictions["seed"] == SEED]


def test_every_model_predicts_every_clip_of_every_split(result):
    predictions = of_main_seed(result["predictions"])
    counts = predictions.pivot_table("video_id", "model", "split", aggfunc="nunique")
    assert (counts[list(COUNTS)] == list(COUNTS.values())).all(axis=None)
    assert not predictions.duplicated(["video_id", "model"]).any()
    assert set(counts.index) == {*ROLES, *baseline_names(MODALITIES), *MODALITIES}
    assert set(result["baselines"]) == set(baseline_names(MODALITIES))
    assert np.isfinite(predictions["y_pred"]).all()
    with_interval = predictions[["lower", "upper"]].notna().all(axis=1)
    assert set(predictions.loc[with_interval, "model"]) == {"ensemble"}


def test_validation_clips_teach_the_baselines_and_no_prediction_of_themselves(result):
    model_input = assembled(corpus())
    validation = model_input.splits["validation"]
    otherwise = dataclasses.replace(validation, log_views=validation.log_views[::-1])
    splits = {**model_input.splits, "validation": otherwise}
    taught = ("ridge", "training_mean")
    other, _ = fit_and_rehearse(dataclasses.replace(model_input, splits=splits), SEED, taught)
    baselines, rehearsed = fit_and_rehearse(model_input, SEED, taught)
    said = of_main_seed(result["predictions"]).set_index(["model", "video_id"])["y_pred"]
    known = {
        name: pooled(model_input.splits[name], model_input.token_sizes)
        for name in ("validation", "test")
    }
    for name in taught:
        expected = rehearsed[name].predict(known["validation"])
        np.testing.assert_allclose(said[name].loc[list(validation.ids)], expected)
        test = [each[name].predict(known["test"]) for each in (baselines, other)]
        np.testing.assert_allclose(said[name].loc[model_input.splits["test"].ids], test[0])
        assert np.allclose(*test) == (name == "training_mean")


def test_only_the_creators_history_knows_the_creator(result):
    regimes = result["predictions"].groupby("model")["regime"].unique()
    assert {name for name, values in regimes.items() if values.tolist() == ["creator"]} == {
        "creator_history"
    }
    assert all(values.tolist() == ["content"] for values in regimes.drop("creator_history"))


def test_what_a_seed_decides_is_trained_again_and_the_rest_is_not(result):
    predictions = result["predictions"]
    again = predictions[predictions["seed"] == SEED + 1]
    assert set(predictions["seed"]) == {SEED, SEED + 1}
    variants = {name for name, role in ROLES.items() if role == "variant"}
    assert set(again["model"]) == {"mlp", "ensemble", *variants, *MODALITIES}
    main = of_main_seed(predictions).set_index(["model", "video_id"])["y_pred"]
    differ = {
        name
        for name, part in again.groupby("model")
        if not np.allclose(part["y_pred"], main[name].loc[part["video_id"]])
    }
    trusted = {n.removesuffix("_model") for n in DEEP if result[n].state["trust"] > 0}
    assert differ >= {"mlp", *trusted}  # a Transformer that is not trusted decides nothing
    assert trusted


def test_one_repeat_is_the_main_seed_alone(result, tmp_path):
    once = run(corpus(), tmp_path)["predictions"]
    pd.testing.assert_frame_equal(once, of_main_seed(result["predictions"]), check_exact=True)


def test_repeats_log_no_history_to_the_runs_of_the_models(tmp_path, monkeypatch):
    heard = []
    monkeypatch.setattr(child_runs, "_active_run", lambda: heard.append("asked"))
    inputs = corpus()
    shape = TransformerConfig(width=8, layers=1, heads=2, feedforward=8)
    settings = (SEED, "cpu", tmp_path)
    main, divisions = assembled_all(inputs)
    plan = train_again(
        *(divisions, main, inputs["manifest"], inputs["splits"], TargetParameters()),
        *(shape, TRAINING, TRAINING, 2, *settings),
        **{name: inputs[f"{name}_embeddings"] for name in MODALITIES},
    )
    stage_store(tmp_path / "again").save(plan)
    assert heard == []
    training_alone("modality", "visual")(main, shape, TRAINING, *settings)
    assert heard


def test_the_truth_is_log_views_of_the_manifest(result):
    views = corpus()["manifest"].set_index("video_id")["views"]
    predictions = result["predictions"]
    np.testing.assert_allclose(
        predictions["y_true"], np.log1p(views.loc[predictions["video_id"]].to_numpy())
    )


def test_quartiles_are_learned_as_a_score():
    model_input = assembled(corpus(), TargetParameters(kind="quartile"))
    taught = model_input.splits["train"].log_views
    assert np.unique(taught, return_counts=True)[1].tolist() == [10, 10, 10, 10]
    assert np.unique(taught).tolist() == [0, 1, 2, 3]
    baselines, rehearsed = fit_and_rehearse(model_input, SEED, ["training_mean"])
    predictions = predict_all(model_input, baselines, rehearsed, [], {}, SEED)
    assert predictions["y_pred"].to_numpy() == pytest.approx(1.5)


def test_clips_without_an_age_are_left_out_and_counted(caplog):
    inputs = corpus()
    captured = inputs["manifest"]["posted_at"] + pd.Timedelta(days=10)
    inputs["manifest"] = inputs["manifest"].assign(captured_at=captured)
    inputs["manifest"].loc[[2, 3, 45], "captured_at"] = pd.NaT
    target = TargetParameters(kind="log_views_per_day")
    clips = assembled(inputs, target)
    assert {split: len(part) for split, part in clips.splits.items()} == {
        **COUNTS,
        "train": 38,
        "validation": 11,
    }
    per_day = np.log1p(inputs["manifest"].set_index("video_id")["views"] / 10)
    test = clips.splits["test"]
    np.testing.assert_allclose(test.log_views, per_day[test.ids])
    assert "3 of 72 clips are left out of modelling" in caplog.text
    inputs["manifest"].loc[:, "captured_at"] = pd.NaT
    with pytest.raises(DataError, match=r"None of the 72 clips.*captured_at"):
        assembled(inputs, target)


def test_when_a_clip_was_captured_moves_no_feature():
    inputs = corpus()
    features = metadata_features(inputs["manifest"])
    for days in (1, 400):
        captured = inputs["manifest"]["posted_at"] + pd.Timedelta(days=days)
        changed = inputs["manifest"].assign(captured_at=captured, likes=days, views=days)
        np.testing.assert_array_equal(metadata_features(changed), features)


def test_metadata_of_a_clip_are_what_is_known_before_posting():
    clip = {
        "duration_seconds": [np.e],
        "width": [720],
        "height": [1280],
        "fps": [30.0],
        "has_audio": [True],
        "caption": ["a cat"],
        "hashtags": ["cats fyp"],
        "posted_at": [pd.Timestamp("2024-03-05 18:00", tz="UTC")],  # a Tuesday
    }
    day = 2 * np.pi / 7
    np.testing.assert_allclose(
        metadata_features(pd.DataFrame(clip)),
        [[1, 720, 1280, 30, 1, 5, 2, -1, 0, np.sin(day), np.cos(day)]],
        atol=1e-12,
    )
    unknown = pd.DataFrame({**clip, "caption": [None], "posted_at": [pd.NaT]})
    assert (
        np.isnan(metadata_features(unknown)[0]).tolist() == [False] * 5 + [True, False] + [True] * 4
    )


def test_a_clip_without_audio_is_given_the_training_mean_by_the_audio_model(result):
    predictions = of_main_seed(result["predictions"]).set_index(["model", "video_id"])["y_pred"]
    mean = predictions["training_mean", "test-0"]
    assert predictions["audio", "test-0"] == pytest.approx(mean)
    assert predictions["visual", "test-0"] != pytest.approx(mean)
    assert predictions["ensemble", "test-0"] != pytest.approx(mean)
    for fusion in ("late_fusion_mean", "late_fusion_gate", "late_fusion_stacking"):
        assert predictions[fusion, "test-0"] == pytest.approx(predictions["visual", "test-0"])
        assert predictions[fusion, "test-1"] != pytest.approx(predictions["visual", "test-1"])


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
    before = of_main_seed(result["predictions"])
    held_in = before["split"] != "test"
    pd.testing.assert_series_equal(
        other["predictions"]["y_pred"][held_in], before["y_pred"][held_in]
    )


def test_changed_views_of_the_validation_split_move_no_weight_of_the_rehearsal(result, tmp_path):
    changed = corpus()
    validation = changed["splits"]["split"].to_numpy() == "validation"
    changed["manifest"].loc[validation, "views"] = 1
    other = run(changed, tmp_path, served_only=True)
    for name in DEEP:
        assert other[name].target == result[name].target
        for key, value in result[name].state.items():
            is_deep_scale = key.startswith("deep.") and ".scale." in key
            if key.startswith("rehearsal.") or is_deep_scale:
                assert torch.equal(other[name].state[key], value), (name, key)


def test_nothing_is_trained_on_splits_that_share_a_creator():
    inputs = corpus()
    inputs["manifest"] = inputs["manifest"].assign(creator_id="the same everywhere")
    with pytest.raises(DataError, match="creator_id is in more than one split"):
        assembled(inputs)


def test_the_study_of_splits_has_rows_for_every_strategy_and_draw(result):
    rows = pd.DataFrame(result["split_sensitivity"])
    drawn = rows.groupby("strategy")["seed"].apply(sorted).to_dict()
    every_draw = [SEED, SEED + 1]
    assert drawn == {
        "random": every_draw,
        "group": every_draw,
        "chronological": [SEED],
        "group_chronological": every_draw,
    }
    assert np.isfinite(rows[["r2", "spearman", "mse", "skill"]].to_numpy(float)).all()


def test_what_a_clip_says_in_words_is_read_where_a_table_has_it():
    inputs = corpus()

    class Worded(Tokens):
        def row(self, video_id: str, columns: list[str] | None = None) -> dict[str, Any]:
            return {"tokens": self.by_id[video_id], "words": f"word of {video_id}"}

    table = inputs["audio_embeddings"]
    inputs["audio_embeddings"] = Worded(table.by_id, "audio", ("tokens", "words"))
    test = assembled(inputs).splits["test"]
    said = dict(zip(test.ids, (clip.words for clip in test.tokens), strict=True))
    assert said["test-1"] == "word of test-1"
    assert said["test-0"] == ""  # it has no sound


@pytest.mark.parametrize("alone", MODALITIES)
def test_a_single_modality_is_enough_and_the_other_is_not_asked(tmp_path, alone):
    wanted = create_pipeline([alone])
    others = {f"{name}_{what}" for name in MODALITIES for what in ("embeddings", "model")}
    others -= {f"{alone}_embeddings", f"{alone}_model"}
    assert not others & (wanted.inputs() | wanted.all_outputs())
