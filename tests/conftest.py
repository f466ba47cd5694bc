"""Fixtures that every room's tests share, and how tests are dealt to worker processes."""

from __future__ import annotations

import gc
import os
import shutil

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch and NumPy, which read it when loaded

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tiktok_virality.execution.ray_cluster import connect

hypothesis.settings.register_profile("project", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("project")

pytest_plugins = ("tests.buckets",)

ROOT = Path(__file__).resolve().parents[1]
WHOLE_RUN = "first_run"
"""The fixture that takes longest."""


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep on one worker what shares fixtures, and begin with what nobody should wait for."""
    items.sort(key=lambda item: WHOLE_RUN not in item.fixturenames)
    for item in items:
        shared = WHOLE_RUN if WHOLE_RUN in item.fixturenames else item.path
        item.add_marker(pytest.mark.xdist_group(str(shared)))


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A Ray cluster of this machine, for all tests of a worker; they skip where Ray is absent."""
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
    connect(None)
    yield
    ray.shutdown()


@pytest.fixture(params=["local", pytest.param("ray", marks=[pytest.mark.ray, pytest.mark.slow])])
def engine(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each engine that starts workers, as a catalog names it: the same must be true of all."""
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    return {"type": request.param, "workers": 2}


@pytest.fixture(scope="module", autouse=True)
def _imported_for_good() -> None:
    """Leave what is imported out of garbage collection: statsmodels asks for one at every turn."""
    gc.freeze()


@pytest.fixture(scope="session")
def _empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database with its tables: making them takes seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def mlflow_files(_empty_mlflow: Path, tmp_path: Path) -> Iterator[str]:
    """Let MLflow use a store of the test's own; the address of the folder for its files."""
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{shutil.copy(_empty_mlflow, tmp_path / 'mlflow.db')}")
    yield str(tmp_path / "artifacts")
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="session")
def real_clips() -> Path:
    """The folder of real clips beside the checkout; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared" / "clips"
    if not (folder / "clips.csv").exists():
        pytest.skip(f"no real clips at {folder}")
    return folder
