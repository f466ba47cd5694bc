"""Starting: quick, without heavy imports, and not at all with a wrong parameter."""

from __future__ import annotations

import os
import subprocess
import sys

HEAVY = (
    *("torch", "torchvision", "whisper", "lightning", "timm", "open_clip", "silero_vad", "ray"),
    *("av", "cv2", "PIL", "librosa", "numba", "onnxruntime", "sklearn", "matplotlib", "plotly"),
    *("selenium", "yt_dlp"),
)
WITH_SETTINGS = ("mlflow",)  # hooks that follow runs load it


def test_reading_the_pipelines_and_their_registry_loads_no_heavy_library():
    code = f"""
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
import tiktok_virality.pipelines as folder
for each in iter_modules(folder.__path__):
    import_module(f"{{folder.__name__}}.{{each.name}}").create_pipeline()
print(*[name for name in {HEAVY + WITH_SETTINGS!r} if name in sys.modules])
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


def test_wrong_parameters_stop_the_run_before_any_work_and_each_is_named(project):
    wrong = "audio.wisper=1,visual.sampling.shrink=0,sede=3"
    finished = project.kedro("run", "--params", wrong, check=False)
    assert finished.returncode != 0
    assert "audio.wisper: there is no such parameter" in finished.stdout
    assert "visual.sampling.shrink: Input should be greater than" in finished.stdout
    assert "sede: there is no such parameter" in finished.stdout
    assert "Running node" not in finished.stdout
    assert list((project.path / "data").iterdir()) == []


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


def test_tracking_imports_nothing_for_the_sake_of_what_a_run_imports(project):
    code = """
import sys
from pathlib import Path
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
bootstrap_project(Path.cwd())
with KedroSession.create() as session:
    session.load_context()
import lightning
print(*[name for name in ("pytorch_lightning", "mlflow.pytorch") if name in sys.modules])
"""
    finished = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.path,
        env={**os.environ, "PYTHONPATH": str(project.path / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.strip() == ""
