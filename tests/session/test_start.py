"""Starting: quick, without heavy imports, and not at all with a wrong parameter."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = (
    *("torch", "whisper", "lightning", "ray", "av", "sklearn", "matplotlib", "plotly"),
    *("selenium", "yt_dlp"),
)


def test_reading_the_registry_loads_no_heavy_library():
    code = f"""
import sys
from pathlib import Path
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path.cwd())
from kedro.framework.project import pipelines
assert set(pipelines) >= {{"__default__", "ingestion", "audio", "visual", "modeling", "reporting"}}
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert finished.stdout.strip() == ""


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ("audio.wisper=1", "audio.wisper: there is no such parameter"),
        ("visual.sampling.shrink=0", "visual.sampling.shrink: Input should be greater than"),
        ("sede=3", "sede: there is no such parameter"),
    ],
)
def test_a_wrong_parameter_stops_the_run_before_any_work(project, params, complaint):
    finished = project.kedro("run", "--params", params, check=False)
    assert finished.returncode != 0
    assert complaint in finished.stdout
    assert "Running node" not in finished.stdout
    assert list((project.path / "data").iterdir()) == []


def test_an_empty_folder_says_what_to_put_where(project):
    finished = project.kedro("run", check=False)
    assert finished.returncode != 0
    assert "data/01_raw" in finished.stdout
    assert "metadata.json" in finished.stdout


def test_arrow_takes_memory_from_the_system_in_every_kedro_command():
    code = """
from kedro.framework.cli.cli import main
try:
    main()
except SystemExit:
    import pyarrow
    print(pyarrow.default_memory_pool().backend_name)
"""
    environment = {k: v for k, v in os.environ.items() if k != "ARROW_DEFAULT_MEMORY_POOL"}
    finished = subprocess.run(
        [sys.executable, "-c", code, "registry", "list"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert "reporting" in finished.stdout
    assert finished.stdout.split()[-1] == "system"
