"""What the hooks make of worlds: names in MLflow, and what runs when no pipeline is named."""

from __future__ import annotations

from pathlib import Path

import mlflow
import pytest
from kedro.framework.project import pipelines
from kedro.pipeline import Pipeline, node

from tiktok_virality import hooks
from tiktok_virality.evaluation.metrics import METRICS
from tiktok_virality.schema import ParameterError


@pytest.mark.parametrize(
    ("dataset", "kind", "run"),
    [
        ("ensemble", "ensemble", "ridge"),
        ("additive.ensemble", "ensemble", "additive/ridge"),
    ],
)
def test_what_a_world_made_is_named_after_it(dataset, kind, run):
    assert hooks._kind(dataset) == kind
    assert hooks._run_name(dataset, "ridge") == run


def test_the_parent_run_hears_what_each_world_reached(mlflow_files):
    mlflow.create_experiment("truth", artifact_location=mlflow_files)
    mlflow.set_experiment("truth")
    scores = {
        "additive": {"role": "ensemble", "r2": 0.7, "share": 0.9},
        "noise": {"role": "ensemble", "r2": -0.1, "share": None},
    }
    worlds = [
        {"world": world, "scores": [{"role": "baseline", "r2": 0.0, "share": None}, score]}
        for world, score in scores.items()
    ]
    with mlflow.start_run() as run:
        hooks._log_truth({"worlds": worlds})
    logged = mlflow.get_run(run.info.run_id).data.metrics
    assert logged == {
        "truth/additive/ensemble_r2": 0.7,
        "truth/additive/share_of_reachable": 0.9,
        "truth/noise/ensemble_r2": -0.1,
    }


def test_runs_are_named_after_what_they_reached(mlflow_files):
    row = dict.fromkeys(METRICS) | {"split": "test", "seed": 1, "mse": 2.1}
    rows = [{**row, "model": "ensemble", "skill_mean": 0.314}, {**row, "model": "ridge"}]
    mlflow.create_experiment("clips", artifact_location=mlflow_files)
    experiment = mlflow.set_experiment("clips")
    with mlflow.start_run(run_name="demo") as run:
        for _ in range(2):
            hooks._log_leaderboard(rows, "leaderboard")
        hooks._log_leaderboard(rows, "additive.leaderboard")
    runs = mlflow.search_runs([experiment.experiment_id], output_format="list")
    logged = mlflow.get_run(run.info.run_id).data.metrics
    assert {found.info.run_name for found in runs} == {
        "demo · skill 0.31 · MSE 2.10",
        *("ensemble · skill 0.31 · MSE 2.10", "ridge · MSE 2.10"),
        *("additive/ensemble · skill 0.31 · MSE 2.10", "additive/ridge · MSE 2.10"),
    }
    assert logged == {"test_skill_mean": 0.314, "test_mse": 2.1}


@pytest.mark.parametrize(
    ("kind", "then"),
    [
        (None, "custom_model_development"),
        ("no_inferred_type", "custom_model_development"),
        ("genai_development_inferred", "custom_model_development"),
        ("genai_development", "genai_development"),
    ],
)
def test_an_experiment_opens_on_its_runs_unless_a_person_chose_otherwise(kind, then, mlflow_files):
    tags = {} if kind is None else {"mlflow.experimentKind": kind}
    mlflow.create_experiment("clips", artifact_location=mlflow_files, tags=tags)
    hooks.open_on_runs("clips")
    found = mlflow.get_experiment_by_name("clips").tags["mlflow.experimentKind"]
    assert found == then


def one_node(name: str) -> Pipeline:
    return Pipeline([node(lambda: name, None, name, name=name)])


@pytest.fixture
def registry(monkeypatch):
    parts = {name: one_node(name) for name in ("demo", "truth", "modeling")}
    found = parts | {"__default__": parts["modeling"]}
    monkeypatch.setattr(hooks, "pipelines", found)
    return found


def test_an_environment_says_what_runs_when_no_pipeline_is_named(registry):
    hooks._replace_default(["demo", "truth"])
    assert {each.name for each in registry["__default__"].nodes} == {"demo", "truth"}


def test_a_pipeline_that_is_not_there_is_named(registry):
    with pytest.raises(ParameterError, match="names treuth; there are demo, modeling, truth"):
        hooks._replace_default(["demo", "treuth"])


def test_a_run_of_one_pipeline_is_left_alone(registry):
    del registry["__default__"]
    hooks._replace_default(["demo"])
    assert "__default__" not in registry
    assert pipelines is not registry


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("sqlite:///mlflow.db", "sqlite:////projects/mine/mlflow.db"),
        ("sqlite:///runs/mlflow.db", "sqlite:////projects/mine/runs/mlflow.db"),
        ("sqlite+pysqlite:///mlflow.db", "sqlite+pysqlite:////projects/mine/mlflow.db"),
        ("sqlite:////elsewhere/mlflow.db", "sqlite:////elsewhere/mlflow.db"),
        ("sqlite:///:memory:", "sqlite:///:memory:"),
        ("http://host:5000", "http://host:5000"),
        ("mlruns", "mlruns"),
        (None, None),
    ],
)
def test_the_path_of_a_database_is_meant_from_the_project(given, meant):
    assert hooks.database_in(Path("/projects/mine"), given) == meant
