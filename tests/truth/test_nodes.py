"""What the nodes make of clips and predictions: worlds on the same clips, and their ceilings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.truth.conftest import SEED
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.planting import format_count, plan_clips
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.pipelines.ingestion.counts import parse_counts
from tiktok_virality.pipelines.truth.nodes import (
    add_planted_rows,
    label_clips,
    planting,
    replace_views,
)
from tiktok_virality.pipelines.truth.planted import factors
from tiktok_virality.pipelines.truth.worlds import TRUTH_WORLDS
from tiktok_virality.schema import DataError
from tiktok_virality.training.corpus import ModelInput


@pytest.fixture(scope="module")
def demo_clips() -> pd.DataFrame:
    return plan_clips(DemoParameters(clips=512, creators=64, world="additive"), SEED)


@pytest.fixture(scope="module")
def manifest(demo_clips) -> pd.DataFrame:
    """All clips but two, in another order, with the views as they were published."""
    shuffled = demo_clips.sample(frac=1, random_state=0).iloc[2:].reset_index(drop=True)
    published = parse_counts(shuffled["views"].map(format_count))["count"]
    return pd.DataFrame(
        {
            "video_id": shuffled["video_id"],
            "creator_id": shuffled["creator"],
            "views": published.astype("int64"),
        }
    )


def predictions_of(planted_clips: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Rows of one model that always says the same."""
    views = replace_views(manifest, planted_clips)["views"]
    place = np.arange(len(manifest)) % 4
    return pd.DataFrame(
        {
            "video_id": manifest["video_id"],
            "split": np.array(["train", "validation", "calibration", "test"])[place],
            "model": "training_mean",
            "modality": "none",
            "regime": "content",
            "seed": SEED,
            "y_true": np.log1p(views.to_numpy(float)),
            "y_pred": 10.0,
            "lower": np.nan,
            "upper": np.nan,
        }
    )


def test_worlds_share_their_clips_and_differ_in_their_views(demo_clips):
    worlds = [planting(name)(demo_clips, SEED) for name in TRUTH_WORLDS]
    assert [clips["world"].unique().tolist() for clips in worlds] == [[w] for w in TRUTH_WORLDS]
    for clips in worlds:
        assert clips["video_id"].equals(demo_clips["video_id"])
        assert clips["script"].equals(demo_clips["script"])
    assert len({tuple(clips["views"]) for clips in worlds}) == len(TRUTH_WORLDS)


def test_the_world_of_the_corpus_gives_the_views_of_its_manifest(demo_clips, manifest):
    replaced = replace_views(manifest, planting("additive")(demo_clips, SEED))
    pd.testing.assert_frame_equal(replaced, manifest)


def test_views_of_a_world_go_to_the_clip_that_has_them(demo_clips, manifest):
    planted_clips = planting("noise")(demo_clips, SEED)
    replaced = replace_views(manifest, planted_clips).set_index("video_id")["views"]
    exact = planted_clips.set_index("video_id")["views"].loc[replaced.index]
    np.testing.assert_allclose(replaced, exact, rtol=0.05)  # "1.1M" may be 1.05M
    assert not replaced.reset_index(drop=True).equals(manifest["views"])


def test_a_clip_that_was_not_planted_is_named(demo_clips, manifest):
    stranger = manifest.assign(video_id=["mine", *manifest["video_id"].iloc[1:]])
    with pytest.raises(DataError, match="1 clips of the manifest were not planted, such as 'mine'"):
        replace_views(stranger, planting("visual")(demo_clips, SEED))


def test_the_label_is_the_world(demo_clips):
    plain = ModelInput(splits={}, token_sizes={}, fingerprint="f")
    labelled = label_clips(plain, planting("creator")(demo_clips, SEED))
    assert labelled.name_of("ensemble") == "creator/ensemble"
    assert plain.name_of("ensemble") == "ensemble"
    assert labelled.fingerprint == plain.fingerprint


def splits_of(predictions: pd.DataFrame) -> pd.DataFrame:
    return predictions[["video_id", "split"]].drop_duplicates()


def r2_of(rows: pd.DataFrame) -> dict[str, float]:
    test = rows[rows["split"] == "test"]
    return {
        str(name): 1 - ((part["y_true"] - part["y_pred"]) ** 2).mean() / part["y_true"].var(ddof=0)
        for name, part in test.groupby("model")
    }


@pytest.mark.parametrize("world", TRUTH_WORLDS)
def test_who_is_shown_the_truth_reaches_what_the_world_allows(demo_clips, manifest, world):
    planted_clips = planting(world)(demo_clips, SEED)
    predictions = predictions_of(planted_clips, manifest)
    target, seed = TargetParameters(), SEED
    rows = add_planted_rows(
        predictions, planted_clips, manifest, splits_of(predictions), target, seed
    )
    pd.testing.assert_frame_equal(rows.iloc[: len(predictions)], predictions)
    added = rows.iloc[len(predictions) :]
    assert set(added["regime"]) == {"planted"}
    assert set(added["seed"]) == {SEED}
    assert not added.duplicated(["video_id", "model"]).any()
    reached = r2_of(added)
    expected = {
        "visual": (0.8, 0.0, 0.8),
        "spoken": (0.0, 0.8, 0.8),
        "additive": (0.42, 0.4, 0.8),
        "interaction": (0.0, 0.0, 0.8),
        "creator": (0.0, 0.0, 0.0),
        "noise": (0.0, 0.0, 0.0),
    }[world]
    names = ("planted_picture", "planted_sound", "planted_both")
    assert [reached[name] for name in names] == pytest.approx(expected, abs=0.13)
    if world not in ("creator", "noise"):
        assert 0.1 < reached["planted_boosting"] < reached["planted_both"]


def test_boosting_on_the_truth_learns_nothing_from_test_clips(demo_clips, manifest):
    planted_clips = planting("additive")(demo_clips, SEED)
    before = predictions_of(planted_clips, manifest)
    changed = before.assign(y_true=before["y_true"].where(before["split"] == "train", 99.0))
    arguments = (planted_clips, manifest, splits_of(before), TargetParameters(), SEED)
    boosted = [
        rows.loc[rows["model"] == "planted_boosting", "y_pred"].to_numpy()
        for rows in (add_planted_rows(each, *arguments) for each in (before, changed))
    ]
    np.testing.assert_array_equal(*boosted)


def test_factors_say_who_is_silent(demo_clips):
    known = factors(demo_clips)
    speaks = (demo_clips["sound"] == "speech").to_numpy()
    assert known.shape == (len(demo_clips), 9)
    np.testing.assert_array_equal(known[:, 2], speaks)
    np.testing.assert_array_equal(np.isnan(known[:, 3]), ~speaks)
    np.testing.assert_array_equal(known[:, 4:].sum(axis=1), speaks)


def test_another_target_has_no_known_truth(demo_clips, manifest):
    planted_clips = planting("additive")(demo_clips, SEED)
    with pytest.raises(DataError, match="'quartile': set it to log_views"):
        add_planted_rows(
            predictions_of(planted_clips, manifest),
            planted_clips,
            manifest,
            splits_of(predictions_of(planted_clips, manifest)),
            TargetParameters(kind="quartile"),
            SEED,
        )
