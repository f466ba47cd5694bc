"""The lottery: worlds that are drawn, played on the same clips, and summed up."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset

from tests.stages.stores import stage_store
from tests.truth.conftest import READ, SEED
from tests.truth.test_pipeline import SHAPE, TRAINING, corpus
from tiktok_virality.demo.lottery import draw_world
from tiktok_virality.execution import StageItem
from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.pipelines.truth import lottery
from tiktok_virality.training.lineup import Recipe
from tiktok_virality.training.lottery import NOISE, WorldTrainer, with_noise, with_views
from tiktok_virality.training.parameters import LotteryParameters

DRAWN = LotteryParameters(worlds=2, seed=3)
RECIPE = Recipe(transformer=SHAPE, training=TRAINING, fine_tuning=TRAINING)


@pytest.fixture(scope="module")
def clips() -> dict:
    return corpus()


def trainer(clips: dict, **changes) -> WorldTrainer:
    given = {name: clips[name] for name in ("manifest", "splits")} | changes
    tables = {name: clips[f"{name}_embeddings"] for name in READ}
    return WorldTrainer(clips=clips["demo_clips"], tables=tables, recipe=RECIPE, seed=SEED, **given)


@pytest.fixture(scope="module")
def played(clips, tmp_path_factory):
    folder: Path = tmp_path_factory.mktemp("lottery")
    store = stage_store(folder / "worlds")
    tables = {name: clips[f"{name}_embeddings"] for name in READ}
    given = (clips["demo_clips"], clips["manifest"], SplitParameters())
    recipe = (SHAPE, TRAINING, TRAINING)
    for _ in range(2):
        store.save(lottery.play_lottery(*given, *recipe, DRAWN, SEED, **tables))
    return store


def test_every_world_is_played_once(played):
    assert played.last_report.skipped == DRAWN.worlds
    assert played.load().ids == ["lottery_00", "lottery_01"]


def test_all_models_are_scored_beside_those_that_are_shown_the_factors(played):
    scores = played.load().row("lottery_00")["scores"]
    known = {score["model"]: score["modality"] for score in scores}
    assert {"ensemble", "ridge", "gradient_boosting", "tfidf", *READ} <= set(known)
    assert known["planted_boosting"] == "factors"
    assert known["ridge_visual"] == "visual"
    assert all(np.isfinite(score["r2"]) for score in scores)


def test_findings_are_means_over_worlds_with_paired_gains(played):
    findings = lottery.summarise_lottery(played.load(), DRAWN)
    by_model = {each["model"]: each for each in findings["models"]}
    shares = [world["shares"]["ridge"] for world in findings["worlds"]]
    ours = [world["shares"]["ensemble"] for world in findings["worlds"]]
    assert by_model["ridge"]["mean"] == pytest.approx(np.mean(shares))
    assert by_model["ridge"]["gain"] == pytest.approx(np.mean(np.subtract(ours, shares)))
    assert by_model["ridge"]["gain_low"] < by_model["ridge"]["gain"]
    counted = {name for world in findings["worlds"] for each, _ in world["found"] for name in each}
    assert {each["factor"] for each in findings["factors"]} == counted


def test_a_world_is_played_anew_when_a_split_changes(clips):
    moved = clips["splits"].assign(split=clips["splits"]["split"].to_numpy()[::-1])
    assert trainer(clips).identity() != trainer(clips, splits=moved).identity()
    assert trainer(clips).identity() == trainer(clips).identity()


def test_a_trainer_travels_to_a_worker(clips):
    there = pickle.loads(pickle.dumps(trainer(clips)))
    assert there.identity() == trainer(clips).identity()


def test_views_are_replaced_by_clip_and_trainings_named_after_the_world(clips):
    player = trainer(clips)
    player.setup()
    ids = clips["demo_clips"]["video_id"]
    views = pd.Series(np.arange(len(ids), dtype=float), index=ids)
    replaced = with_views(player._input, views, "lottery_07")
    test = replaced.splits["test"]
    np.testing.assert_allclose(test.log_views, np.logaddexp(0, views[list(test.ids)]))
    assert replaced.name_of("ensemble") == "lottery_07/ensemble"
    assert replaced.fingerprint != player._input.fingerprint


def test_a_modality_of_noise_is_one_more_and_knows_nothing(clips):
    player = trainer(clips)
    player.setup()
    noisy = with_noise(player._input, SEED)
    assert list(noisy.token_sizes) == [*READ, NOISE]
    first, second = (noisy.splits["test"].tokens[i].tokens[NOISE] for i in (0, 1))
    assert not np.allclose(first, second)
    assert abs(first.mean()) < 0.2
    assert NOISE not in player._input.splits["test"].tokens[0].tokens


def test_worlds_of_the_lottery_are_those_of_its_seed():
    given = (corpus()["demo_clips"], corpus()["manifest"], SplitParameters())
    plan = lottery.play_lottery(*given, SHAPE, TRAINING, TRAINING, DRAWN, SEED)
    assert [item.payload for item in plan.items] == [draw_world(3, 0), draw_world(3, 1)]
    assert all(isinstance(item, StageItem) for item in plan.items)
    assert isinstance(DataCatalog({"plan": MemoryDataset(plan)}).load("plan"), type(plan))
