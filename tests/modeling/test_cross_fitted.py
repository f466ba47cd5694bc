"""The modeling pipeline where every clip is tested: by whom, and what decides nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.modeling.test_pipeline import DEEP, MODALITIES, SEED, SILENT, Tokens, corpus, run
from tiktok_virality.evaluation.cross_fitting import FOLD, assign_folds
from tiktok_virality.models.baselines import baseline_names
from tiktok_virality.models.roles import ROLES

FOLDS = 3


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


def test_the_truth_and_tokens_of_a_fold_move_no_prediction_of_another_clip_of_it(result, tmp_path):
    changed = folded()
    rows = changed["splits"]["video_id"][changed["splits"][FOLD] == 1]
    moved = {video_id for video_id in rows if video_id not in SILENT}
    is_moved = changed["manifest"]["video_id"].isin(moved)
    changed["manifest"].loc[is_moved, "views"] = 10**9
    table = changed["visual_embeddings"]
    changed["visual_embeddings"] = Tokens(
        {key: value + 9 * (key in moved) for key, value in table.by_id.items()}, "visual"
    )
    other = run(changed, tmp_path)["predictions"]
    before, after = (
        each[(each["split"] == "test")].set_index(["model", "video_id"]).sort_index()
        for each in (result["predictions"], other)
    )
    untouched = [video_id for video_id in rows if video_id in SILENT]
    assert untouched
    same = before.index.get_level_values("video_id").isin(untouched)
    pd.testing.assert_series_equal(after[same]["y_pred"], before[same]["y_pred"])
    elsewhere = ~before.index.get_level_values("video_id").isin(set(rows))
    assert not np.allclose(after[elsewhere]["y_pred"], before[elsewhere]["y_pred"])


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


def test_a_second_seed_trains_every_fold_again(tmp_path):
    predictions = run(folded(), tmp_path, repeats=2)["predictions"]
    tested = predictions[predictions["split"] == "test"]
    counts = tested.groupby(["seed", "model"])["video_id"].nunique()
    assert set(counts) == {len(folded()["manifest"])}
    assert set(counts[SEED + 1].index) < set(counts[SEED].index)
    assert {"ensemble", "mlp", *MODALITIES} <= set(counts[SEED + 1].index)
