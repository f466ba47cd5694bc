"""The study, from video files to its finding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset

from tests.media.encoding import ffmpeg, h264, picture
from tests.stages.stores import stage_store
from tiktok_virality.datasets import VideoFolder
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.pipelines.study import create_pipeline
from tiktok_virality.pipelines.study.figure import PANELS, frame_study_plot
from tiktok_virality.pipelines.study.finding import errors, finding
from tiktok_virality.pipelines.study.nodes import compare_frame_settings
from tiktok_virality.schema import DataError
from tiktok_virality.training.parameters import StudyParameters

SPLITS = {"a": "train", "b": "train", "c": "train", "d": "validation", "e": "test"}
STUDY = StudyParameters(
    every_nth=(20, 5),
    shrink=(64,),
    seeds=2,
    steps=4,
    batch_size=2,
    learning_rate=0.01,
    stopping_share=0.3,
    autoencoder=ConvLSTMConfig(hidden=2),
)


@pytest.fixture(scope="module")
def catalog(tmp_path_factory) -> DataCatalog:
    folder: Path = tmp_path_factory.mktemp("study")
    videos = folder / "videos"
    videos.mkdir()
    for name in "abcd":
        ffmpeg(*picture(seconds=1), *h264(), videos / f"{name}.mp4")
    (videos / "e.mp4").write_text("not to be opened")
    ids = list(SPLITS)
    inputs = {
        "manifest": pd.DataFrame({"video_id": ids, "content_hash": ids, "creator_id": ids}),
        "splits": pd.DataFrame({"video_id": ids, "split": SPLITS.values()}),
        "params:study": STUDY,
        "params:seed": 1,
        "params:device": "cpu",
        "checkpoints": folder / "checkpoints",
    }
    catalog = DataCatalog(
        {
            **{name: MemoryDataset(value, copy_mode="assign") for name, value in inputs.items()},
            "videos": VideoFolder(filepath=str(videos)),
            "study_frames": stage_store(folder / "frames"),
            "frame_study": JSONDataset(filepath=str(folder / "frame_study.json")),
        }
    )
    found = SequentialRunner().run(create_pipeline(), catalog)
    catalog["found"] = MemoryDataset({name: each.load() for name, each in found.items()})
    return catalog


def test_there_is_a_row_per_setting_and_seed(catalog):
    rows = catalog.load("frame_study")
    settings = [(row["every_nth"], row["shrink"], row["seed"]) for row in rows]
    assert settings == [(20, 64, 1), (20, 64, 2), (5, 64, 1), (5, 64, 2)]
    assert [row["frames_per_clip"] for row in rows] == [2, 2, 6, 6]
    for row in rows:
        assert 0 < row["own_error"] < 1
        assert 0 < row["common_error"] < 1
    assert rows[0]["common_error"] != rows[1]["common_error"]


def test_a_second_study_of_the_same_frames_gives_the_same_rows(catalog, tmp_path):
    inputs = ("study_frames", "manifest", "splits", "params:study", "params:seed", "params:device")
    again = compare_frame_settings(*map(catalog.load, inputs), tmp_path)
    assert again == catalog.load("frame_study")


def test_clips_of_the_test_split_are_not_even_decoded(catalog):
    frames = catalog.load("study_frames")
    assert frames.ids == ["a", "b", "c", "d"]
    assert frames.failed.empty


def test_a_study_without_validation_clips_says_what_is_missing(catalog, tmp_path):
    splits = catalog.load("splits").replace("validation", "test")
    with pytest.raises(DataError, match="3 training creators and of 0 validation clips"):
        compare_frame_settings(
            catalog.load("study_frames"),
            catalog.load("manifest"),
            splits,
            STUDY,
            1,
            "cpu",
            tmp_path,
        )


def rows_of(common: dict[int, float], own: dict[int, float]) -> list[dict[str, Any]]:
    return [
        {
            "every_nth": stride,
            "shrink": 32,
            "seed": seed,
            "own_error": own[stride] * (1 + seed / 10),
            "common_error": common[stride],
            "alone_error": 0.04 if stride == 200 else 0.05,
            "own_mean_error": 0.09,
            "mean_error": 0.08,
            "single_frame_share": 0.75 if stride == 200 else 0.0,
        }
        for stride in common
        for seed in (0, 1)
    ]


FLAT = rows_of(common={200: 0.02, 100: 0.02, 10: 0.01}, own={200: 0.03, 100: 0.01, 10: 0.01})


def test_the_finding_says_both_ways_of_measuring():
    said = finding(FLAT)
    assert "every 100th frame has 0.33 times (0.33 to 0.33 by seed) the error" in said
    assert "and 1.00 times (1.00 to 1.00 by seed) on the same frames, shown in sequence" in said
    assert "1.25 times (1.25 to 1.25 by seed) when these are shown one by one" in said
    assert "every 10th frame is the best to learn from: a mean squared error of 0.01000" in said
    assert "75% of the measured clips have a single frame at every 200th" in said


def test_the_finding_follows_the_numbers():
    said = finding(rows_of(common={200: 0.01, 100: 0.02}, own={200: 0.01, 100: 0.02}))
    assert "2.00 times" in said
    assert "every 200th frame is the best" in said


def test_the_figure_shows_every_setting_in_every_panel_with_the_spread_of_seeds():
    figure = frame_study_plot(FLAT)
    assert len(figure.data) == 2 * len(PANELS)
    first = figure.data[0]
    assert list(first.x) == ["200", "100", "10"]
    np.testing.assert_allclose(
        first.y, [errors(FLAT, "own_error", n, 32).mean() for n in (200, 100, 10)]
    )
    np.testing.assert_allclose(first.error_y.array[0], 0.03 * 0.05)
    assert figure.layout.yaxis.title.text
    assert figure.layout.xaxis.title.text
