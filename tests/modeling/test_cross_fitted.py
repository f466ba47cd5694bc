"""The modeling pipeline where every clip is tested: by whom, and what decides nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.modeling.test_pipeline import (
    DEEP,
    MODALITIES,
    SEED,
    SILENT,
    TRAINING,
    Tokens,
    assembled_all,
    corpus,
    run,
)
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.cross_fitting import FOLD, assign_folds
from tiktok_virality.models.baselines import baseline_names
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.pooling import POOLS
from tiktok_virality.models.roles import ROLES
from tiktok_virality.pipelines.modeling import unlike
from tiktok_virality.pipelines.modeling.nodes import trainings_of
from tiktok_virality.training.lineup import Recipe, Setting, train_all

FOLDS = 3
RECIPE = Recipe(
    transformer=TransformerConfig(width=8, layers=1, heads=2, feedforward=8),
    training=TRAINING,
    fine_tuning=TRAINING,
)


def folded() -> dict[str, Any]:
    inputs = corpus()
    return {**inputs, "splits": assign_folds(inputs["manifest"], "group", FOLDS, SEED)}


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict[str, Any]:
    return run(folded(), tmp_path_factory.mktemp("folds"), repeats=1)


def test_every_model_predicts_every_clip_once_as_a_stranger(result):
    predictions = result["predictions"]
    ids = set(folded()["manifest"]["video_id"])
    assert set(predictions["model"]) == {*ROLES, *baseline_names(MODALITIES), *MODALITIES}
    for split in ("test", "validation", "train"):
        part = predictions[predictions["split"] == split]
        assert not part.duplicated(["video_id", "model"]).any()
        assert part.groupby("model")["video_id"].agg(set).map(lambda found: found == ids).all()
    assert np.isfinite(predictions["y_pred"]).all()


def test_the_truth_and_tokens_of_a_fold_move_no_prediction_of_another_clip_of_it(tmp_path):
    changed = folded()
    tested = set(changed["splits"]["video_id"][changed["splits"][FOLD] == 1])
    untouched = sorted(tested & SILENT)
    moved = tested - SILENT
    assert untouched
    changed["manifest"].loc[changed["manifest"]["video_id"].isin(moved), "views"] = 10**9
    table = changed["visual_embeddings"]
    changed["visual_embeddings"] = Tokens(
        {key: value + 9 * (key in moved) for key, value in table.by_id.items()}, "visual"
    )
    for number, expected_same in ((1, True), (0, False)):  # what fold 1 tests; what it teaches
        before, after = (
            train_all(
                assembled_all(inputs)[1][number],
                RECIPE,
                Setting(seed=SEED, device="cpu", checkpoints=tmp_path, quiet=True),
                with_baselines=False,
            )
            .query("split == 'test'")
            .set_index(["model", "video_id"])["y_pred"]
            for inputs in (folded(), changed)
        )
        same = before.index.get_level_values("video_id").isin(tested - moved)
        compared = same if expected_same else np.ones(len(before), bool)
        assert np.allclose(before[compared], after[compared]) == expected_same


def test_intervals_are_of_all_clips_and_speak_of_all_creators(result):
    ours = result["predictions"].query("model == 'ensemble' and split == 'test'")
    assert ours[["lower", "upper"]].notna().all(axis=None)
    overall = [r for r in result["coverage"]["rows"] if r["group"] == "all clips"]
    assert {row["n"] for row in overall} == {len(ours)}
    assert result["coverage"]["calibration_clips"] == len(ours)
    shown = next(
        row
        for row in overall
        if row["level"] == 0.8 and row["method"] == "split" and row["seed"] == SEED
    )
    inside = ours["y_true"].between(ours["lower"], ours["upper"])
    assert shown["coverage"] == pytest.approx(inside.mean())


def test_the_served_models_have_learned_from_every_clip(result, tmp_path):
    """Their predictions are not among those that are measured."""
    changed = folded()
    inputs = changed["manifest"]
    views = inputs["views"].to_numpy(copy=True)
    for fold in range(FOLDS):
        changed["manifest"] = inputs.assign(
            views=np.where(changed["splits"][FOLD] == fold, 10**6, views)
        )
        other = run(changed, tmp_path / str(fold), served_only=True)
        for name in DEEP:
            assert other[name].digest != result[name].digest, (name, fold)


def test_a_second_seed_trains_every_fold_again_and_a_held_out_split_only_under_others():
    _, folds = assembled_all(folded())
    assert [
        (each.division, each.seed, each.with_baselines) for each in trainings_of(folds, 2, SEED)
    ] == [
        *((number, SEED, True) for number in range(FOLDS)),
        *((number, SEED + 1, False) for number in range(FOLDS)),
    ]
    _, held_out = assembled_all(corpus())
    assert [each.seed for each in trainings_of(held_out, 3, SEED)] == [SEED + 1, SEED + 2]
    assert trainings_of(held_out, 1, SEED) == []


def test_the_flag_for_unlike_clips_speaks_of_all_clips(result):
    """Whether the clips of a fold are usual, only the others say; altered ones are asked there."""
    _, divisions = assembled_all(folded())
    novelty = unlike.flag_unlike_clips(divisions, CertaintyParameters())
    ids = [video_id for each in divisions for video_id in each.splits["test"].ids]
    assert novelty["video_id"].tolist() == ids
    chosen = ids[::9]
    far = np.full((len(chosen), divisions[0].token_sizes["visual"] * len(POOLS)), 99.0)
    evidence = unlike.gather_evidence(
        *(divisions, novelty, result["predictions"], CertaintyParameters(), SEED),
        visual={"video_id": np.asarray(chosen), "far away": far},
    )
    assert evidence["false_alarms"]["n"] == len(ids)
    [found] = evidence["unlike"]
    assert (found["n"], found["flagged"], found["auroc"]) == (len(chosen), 1.0, 1.0)
    counted = [evidence["error"][name]["n"] for name in ("flagged", "others")]
    assert sum(counted) == len(ids)
