"""A project folder of its own for whole runs, started as a user starts them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAGE_LINE = re.compile(
    r"(\w+): (\d+) computed, (\d+) absent, (\d+) failed, (\d+) already there", re.MULTILINE
)


@dataclass(frozen=True)
class Stage:
    """What the log says of one stage."""

    computed: int
    absent: int
    failed: int
    already_there: int


@dataclass(frozen=True)
class Project:
    """A copy of the project's configuration and source, with no data."""

    path: Path

    def kedro(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        finished = subprocess.run(
            [sys.executable, "-m", "kedro", *arguments],
            cwd=self.path,
            env={**os.environ, "KEDRO_DISABLE_TELEMETRY": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert not check or finished.returncode == 0, finished.stdout[-5000:]
        return finished

    def run(self, *arguments: str) -> dict[str, Stage]:
        """Run pipelines; return what the log says of each stage."""
        log = self.kedro("run", *arguments).stdout
        return {name: Stage(*map(int, counts)) for name, *counts in STAGE_LINE.findall(log)}


def make_project(path: Path) -> Project:
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, path / name)
    shutil.copytree(ROOT / "conf", path / "conf", ignore=shutil.ignore_patterns("local"))
    (path / "conf" / "local").mkdir()
    shutil.copytree(ROOT / "src", path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (path / "data").mkdir()
    return Project(path)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)
