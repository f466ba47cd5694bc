"""Where a run is started: in the project, below it, elsewhere, or from the package alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import mlflow
import pytest

from tests.session.conftest import ROOT, Project

PLANT = ("--env", "demo", "--pipelines", "demo", "--params", "demo.clips=12,demo.creators=6")
SCRIPT = """
import sys
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

if __name__ == "__main__":
    bootstrap_project(sys.argv[1])
    with KedroSession.create(project_path=sys.argv[1], env="demo") as session:
        session.run(pipeline_names=["reporting"], node_names=["no_such_node"])
"""


def python(folder: Path, packages: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "KEDRO_DISABLE_TELEMETRY": "1", "PYTHONPATH": str(packages)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder that is not below the project's."""
    return tmp_path_factory.mktemp("elsewhere")


def artifact_folders(project: Path) -> set[Path]:
    """Return where the project's store puts the files of its experiments."""
    store = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    return {Path(each.artifact_location).parent for each in store.search_experiments()}


@pytest.mark.parametrize("command", [("run",), ("mlflow", "ui")])
def test_a_wrong_environment_ends_in_one_line(project: Project, command):
    finished = project.kedro(*command, "--env", "nosuch", check=False)
    assert finished.returncode == 1
    assert "Error: There is no environment 'nosuch'; there are base, demo, " in finished.stdout
    assert "Traceback" not in finished.stdout
    assert not (project.path / "mlflow.db").exists()


def test_a_part_of_a_block_in_globals_is_enough(project: Project):
    (project.path / "conf" / "local" / "globals.yml").write_text("posts: {source: mine.csv}")
    finished = project.kedro("run", check=False)
    assert "data/01_raw: looked for mine.csv" in finished.stdout


def test_an_empty_project_says_what_to_put_where_wherever_in_it_a_run_is_started(project: Project):
    """And the store, too, is the project's."""
    below = project.path / "notebooks"
    below.mkdir()
    finished = python(below, project.path / "src", "-m", "kedro", "run")
    message = "".join(finished.stdout.split())  # Kedro wraps lines here
    assert finished.returncode != 0
    assert "".join(f"No post metadata in {project.path}/data/01_raw".split()) in message
    assert "metadata.json" in message
    assert list(below.iterdir()) == []
    assert artifact_folders(project.path) == {project.path / "mlruns"}


def test_a_session_started_elsewhere_uses_the_store_of_the_project(project: Project, elsewhere):
    (elsewhere / "script.py").write_text(SCRIPT)
    finished = python(elsewhere, project.path / "src", "script.py", str(project.path))
    assert "no_such_node" in finished.stdout
    assert [each.name for each in elsewhere.iterdir()] == ["script.py"]
    assert artifact_folders(project.path) == {project.path / "mlruns"}


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--conf-source", "conf", "--env", "nosuch"], "there are base, demo, gpu, local"),
        ([], "--conf-source"),
    ],
)
def test_the_package_alone_says_what_it_lacks(project: Project, elsewhere, arguments, complaint):
    if arguments:
        (elsewhere / "conf").symlink_to(project.path / "conf")
    finished = python(elsewhere, project.path / "src", "-m", "tiktok_virality", *arguments)
    assert finished.returncode == 1
    assert complaint in finished.stdout
    assert "Traceback" not in finished.stdout


@pytest.mark.slow
def test_the_wheel_and_the_settings_of_kedro_package_run_in_another_folder(
    project: Project, elsewhere: Path, tmp_path: Path
):
    pytest.importorskip("espeakng_loader", reason="extra `demo` is not installed")
    wheels, site = (tmp_path / name for name in ("wheels", "site"))
    build = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels)]
    for name in ("README.md", "LICENSE"):
        (project.path / name).write_text((ROOT / name).read_text())
    built = python(project.path, project.path / "src", *build, str(project.path))
    assert built.returncode == 0, built.stdout[-5000:]
    [wheel] = wheels.glob("*.whl")
    unpack = ["-m", "pip", "install", "--no-deps", "--target", str(site), str(wheel)]
    assert python(elsewhere, site, *unpack).returncode == 0
    with tarfile.open(tmp_path / "conf.tar.gz", "w:gz") as archive:  # as Kedro does it
        archive.add(project.path / "conf", "conf")
    with tarfile.open(tmp_path / "conf.tar.gz") as archive:
        archive.extractall(elsewhere, filter="data")
    start = ["-m", "tiktok_virality", "--conf-source", "conf", *PLANT]
    finished = python(elsewhere, site, *start)
    assert finished.returncode == 0, finished.stdout[-5000:]
    assert len(list((elsewhere / "data/demo/01_raw/videos").glob("*.mp4"))) == 12
    assert (elsewhere / "mlflow.db").exists()
    assert not (project.path / "mlflow.db").exists()
