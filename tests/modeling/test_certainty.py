"""Nodes around single clips: intervals for every seed, their coverage, and the flag's evidence."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.conformal import LEVELS, METHODS
from tiktok_virality.execution import Done, StageItem
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.trained import ModelSpec, TrainedModel
from tiktok_virality.pipelines.modeling import certainty, unlike
from tiktok_virality.pipelines.visual import unlike as altering
from tiktok_virality.schema import SPLITS, DataError
from tiktok_virality.stages.embedding import ClipEmbedder
from tiktok_virality.training.corpus import ClipTokens, LabelledClips, ModelInput
from tiktok_virality.training.parameters import EmbeddingParameters

CREATORS = {"train": 30, "validation": 12, "calibration": 12, "test": 20}
CLIPS_EACH = 4
HIDDEN, GRID = 2, EmbeddingParameters(grid_height=2, grid_width=1)
SEED = 7
PARAMETERS = CertaintyParameters(method="quantile", altered_clips=10)


class Frames(dict[str, np.ndarray]):
    """Frames by video id, as a stage table gives them."""

    def row(self, video_id: str, columns: list[str] | None = None) -> dict[str, np.ndarray]:
        pixels = self[video_id]
        return {"pixels": pixels, "timestamps_seconds": np.arange(len(pixels), dtype=np.float32)}


def moving_bars(rng: np.random.Generator) -> np.ndarray:
    """Return a short clip of dark colours with a bright bar that moves down."""
    frames = rng.integers(10, 60, (4, 3, 1, 1), dtype=np.uint8).repeat(8, 2).repeat(6, 3)
    start = int(rng.integers(0, 3))
    for step in range(len(frames)):
        frames[step, :, start + step] = rng.integers(150, 220)
    return frames


@dataclass(frozen=True)
class Payload:
    """A row of frames as the stage store hands it out."""

    row: dict[str, np.ndarray]

    def load(self) -> dict[str, np.ndarray]:
        return self.row


def embedded(embedder: ClipEmbedder, frames: Frames, video_id: str) -> np.ndarray:
    """Return the tokens of a clip as the embedding stage makes them, float32 [T, D]."""
    row = frames.row(video_id)
    item = StageItem(video_id=video_id, digest=video_id, payload=Payload(row))
    [outcome] = embedder([item])
    assert isinstance(outcome, Done)
    return outcome.columns["tokens"].astype(np.float32)


@pytest.fixture(scope="module")
def autoencoder() -> TrainedModel:
    torch.manual_seed(0)
    spec = ModelSpec(kind="autoencoder", convlstm=ConvLSTMConfig(hidden=HIDDEN))
    return TrainedModel(spec=spec, state=spec.build().state_dict())


@pytest.fixture(scope="module")
def corpus(autoencoder) -> dict[str, Any]:
    """Clips whose errors grow with the disagreement of the modalities; every ninth is silent."""
    rng = np.random.default_rng(1)
    embedder = ClipEmbedder(autoencoder, (GRID.grid_height, GRID.grid_width), "cpu")
    embedder.setup()
    frames, splits, rows = Frames(), {}, []
    for split in SPLITS:
        ids, tokens = [], []
        for index in range(CREATORS[split] * CLIPS_EACH):
            video_id = f"{split}-{index:03d}"
            frames[video_id] = moving_bars(rng)
            visual = embedded(embedder, frames, video_id)
            known = {"visual": visual}
            if index % 9:
                known["audio"] = rng.normal(size=(3, 2)).astype(np.float32)
            ids.append(video_id)
            tokens.append(ClipTokens(tokens=known))
            centre, apart = rng.normal(9, 1), rng.normal(0, 1)
            truth = centre + (0.2 + abs(apart)) * rng.normal()
            for seed in (SEED, SEED + 1):
                for model, y_pred in (
                    ("ensemble", centre + 0.1 * (seed - SEED)),
                    ("visual", centre + apart / 2),
                    ("audio", centre - apart / 2),
                ):
                    rows.append((video_id, split, model, "content", seed, truth, y_pred))
        splits[split] = LabelledClips(
            ids=ids,
            groups=np.repeat([f"{split}-{c}" for c in range(CREATORS[split])], CLIPS_EACH),
            log_duration=rng.normal(2, 0.3, len(ids)),
            tokens=tokens,
            log_views=np.zeros(len(ids)),
        )
    columns = ["video_id", "split", "model", "regime", "seed", "y_true", "y_pred"]
    sizes = {"visual": visual.shape[1], "audio": 2}
    return {
        "point_predictions": pd.DataFrame(rows, columns=columns),
        "model_input": ModelInput(splits=splits, token_sizes=sizes, fingerprint="test"),
        "frames": frames,
    }


def split_table(model_input: ModelInput) -> pd.DataFrame:
    rows = [(i, split) for split, part in model_input.splits.items() for i in part.ids]
    return pd.DataFrame(rows, columns=["video_id", "split"])


@pytest.fixture(scope="module")
def result(corpus, autoencoder) -> dict[str, Any]:
    predictions, model_input = corpus["point_predictions"], corpus["model_input"]
    novelty_model = unlike.fit_novelty(model_input, PARAMETERS)
    novelty = unlike.flag_unlike_clips([model_input], PARAMETERS)
    intervals = certainty.calibrate_intervals(predictions, [model_input], novelty, PARAMETERS, SEED)
    intervals = json.loads(json.dumps(intervals))
    altered = altering.embed_unlike_clips(
        split_table(model_input), corpus["frames"], autoencoder, GRID, PARAMETERS, SEED, "cpu"
    )
    return {
        "novelty_model": novelty_model,
        "novelty": novelty,
        "interval_model": intervals,
        "predictions": certainty.add_intervals(predictions, intervals, [model_input], novelty),
        "coverage": certainty.measure_coverage(predictions, intervals, [model_input], novelty),
        "unlike_clips": altered,
        "evidence": unlike.gather_evidence(
            [model_input], novelty, predictions, PARAMETERS, SEED, visual=altered
        ),
    }


def test_only_new_clips_of_the_ensemble_under_the_main_seed_have_an_interval(result):
    predictions = result["predictions"]
    given = predictions["lower"].notna()
    assert (given == predictions["upper"].notna()).all()
    expected = (
        (predictions["model"] == "ensemble")
        & (predictions["seed"] == SEED)
        & (predictions["split"] == "test")
    )
    assert (given == expected).all()
    assert (predictions["lower"] < predictions["upper"])[given].all()


def test_the_shown_coverage_is_that_of_the_intervals_in_the_predictions(result):
    rows = result["predictions"].dropna(subset="lower").query("split == 'test'")
    held = rows["y_true"].between(rows["lower"], rows["upper"])
    coverage = result["coverage"]
    shown = next(
        row
        for row in coverage["rows"]
        if (row["seed"], row["method"], row["level"], row["group"])
        == (SEED, coverage["method"], coverage["level"], "all clips")
    )
    assert shown["coverage"] == pytest.approx(held.mean())
    assert shown["n"] == len(rows) == CREATORS["test"] * CLIPS_EACH
    assert shown["creators"] == CREATORS["test"]
    assert shown["low"] < shown["coverage"] < shown["high"]
    assert shown["mean_width"] == pytest.approx((rows["upper"] - rows["lower"]).mean())


def test_coverage_is_told_for_every_seed_and_their_mean(result):
    rows = pd.DataFrame(result["coverage"]["rows"]).query("group == 'all clips'")
    for _, of_one in rows.groupby(["method", "level"]):
        assert len(of_one) == 3
        by_seed = of_one.dropna(subset="seed")
        mean = of_one[of_one["seed"].isna()]
        assert set(by_seed["seed"]) == {SEED, SEED + 1}
        assert mean["coverage"].item() == pytest.approx(by_seed["coverage"].mean())
    assert set(zip(rows["method"], rows["level"], strict=True)) == {
        (method, level) for method in METHODS for level in LEVELS
    }


def test_the_parts_of_a_division_hold_every_test_clip_once(result):
    rows = pd.DataFrame(result["coverage"]["rows"])
    one = rows[(rows["seed"] == SEED) & (rows["method"] == "split") & (rows["level"] == 0.8)]
    assert {"mean of the creator", "duration", "audio"} <= set(one["group"])
    for group, parts in one.groupby("group"):
        assert parts["n"].sum() == CREATORS["test"] * CLIPS_EACH, group
        assert (parts["coverage"] * parts["n"]).sum() == pytest.approx(
            one.loc[one["group"] == "all clips", "coverage"].item() * parts["n"].sum()
        )


def test_the_truth_of_test_clips_decides_nothing(corpus, result):
    changed = corpus["point_predictions"].copy()
    changed.loc[changed["split"].isin(["test", "train"]), "y_true"] += 100
    other = certainty.calibrate_intervals(
        changed, [corpus["model_input"]], result["novelty"], PARAMETERS, SEED
    )
    assert json.loads(json.dumps(other)) == result["interval_model"]


def test_too_few_calibration_clips_are_said_and_leave_no_interval(corpus, result, caplog):
    model_input = corpus["model_input"]
    calibration = model_input.splits["calibration"]
    few = replace(
        calibration,
        ids=calibration.ids[:3],
        groups=calibration.groups[:3],
        log_duration=calibration.log_duration[:3],
        tokens=calibration.tokens[:3],
    )
    small = replace(model_input, splits={**model_input.splits, "calibration": few})
    everything = corpus["point_predictions"]
    left_out = everything["video_id"].isin(calibration.ids[3:])
    arguments = (everything[~left_out], [small], result["novelty"])
    with caplog.at_level(logging.WARNING):
        model = certainty.calibrate_intervals(*arguments, PARAMETERS, SEED)
    assert "no intervals of 80 %: they need 5 calibration clips, and there are 3" in caplog.text
    predictions, _, novelty = arguments
    assert certainty.add_intervals(predictions, model, [small], novelty)["lower"].isna().all()
    rows = certainty.measure_coverage(predictions, model, [small], novelty)["rows"]
    assert {row["coverage"] is None for row in rows if row["level"] == 0.5} == {False}
    assert {row["coverage"] is None for row in rows if row["level"] > 0.5} == {True}


def test_a_missing_model_is_named(corpus, result):
    arguments = ([corpus["model_input"]], result["novelty"], PARAMETERS)
    predictions = corpus["point_predictions"]
    with pytest.raises(DataError, match="'audio' has no prediction for 48 of 48 clips"):
        certainty.calibrate_intervals(
            predictions[predictions["model"] != "audio"], *arguments, SEED
        )
    with pytest.raises(DataError, match="under the main seed 99; it has under 7, 8"):
        certainty.calibrate_intervals(predictions, *arguments, 99)


def test_training_clips_are_not_flagged_and_all_others_are_judged(result):
    novelty = result["novelty"]
    assert set(novelty["split"]) == {"validation", "calibration", "test"}
    assert len(novelty) == CLIPS_EACH * sum(CREATORS[split] for split in SPLITS[1:])
    assert (novelty["flagged"] == (novelty["p_value"] <= PARAMETERS.novelty_alpha)).all()


def test_altered_clips_are_found_and_usual_ones_are_rarely_flagged(result):
    evidence = result["evidence"]
    assert evidence["can_flag"]
    assert evidence["false_alarms"]["low"] <= 0.05
    by_name = {row["alteration"]: row for row in evidence["unlike"]}
    assert by_name["pure noise"]["auroc"] > 0.95
    assert by_name["frozen frame"]["flagged"] > evidence["false_alarms"]["flagged"]
    assert all(row["n"] == PARAMETERS.altered_clips for row in by_name.values())
    assert evidence["error"]["flagged"]["n"] + evidence["error"]["others"]["n"] == 80
    json.dumps(evidence, allow_nan=False)


def test_unaltered_frames_pushed_the_same_way_give_the_tokens_of_the_clip(
    corpus, autoencoder, monkeypatch
):
    """So that what the flag finds is the alteration, and not another way of embedding."""
    monkeypatch.setattr(altering, "ALTERATIONS", {"nothing": lambda frames, rng: frames})
    model_input = corpus["model_input"]
    again = altering.embed_unlike_clips(
        split_table(model_input), corpus["frames"], autoencoder, GRID, PARAMETERS, SEED, "cpu"
    )
    test = model_input.splits["test"]
    places = [test.ids.index(video_id) for video_id in again["video_id"]]
    expected = unlike.pooled(test, model_input.token_sizes).modalities["visual"][places]
    np.testing.assert_allclose(again["nothing"], expected, atol=2e-3)
