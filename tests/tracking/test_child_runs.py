"""Nested runs: one per model, found again, and none without an active run."""

from __future__ import annotations

import mlflow
import pytest

from tiktok_virality.tracking import child_run, log_epoch, untracked
from tiktok_virality.tracking.child_runs import flatten


@pytest.fixture
def active_run(mlflow_files):
    mlflow.create_experiment("test", artifact_location=mlflow_files)
    mlflow.set_experiment("test")
    with mlflow.start_run() as run:
        yield run


def test_without_an_active_run_nothing_is_logged_and_nothing_breaks():
    assert child_run("ensemble") is None
    log_epoch("ensemble", 1, {"train_loss": 1.0})


def test_epochs_of_one_model_land_in_one_nested_run(active_run):
    for epoch, loss in enumerate([3.0, 2.0, 1.0]):
        log_epoch("ensemble", epoch, {"validation_loss": loss})
    run = child_run("ensemble")
    history = run.client.get_metric_history(run.run_id, "validation_loss")
    assert [(entry.step, entry.value) for entry in history] == [(0, 3.0), (1, 2.0), (2, 1.0)]
    tags = run.client.get_run(run.run_id).data.tags
    assert tags["mlflow.parentRunId"] == active_run.info.run_id


def test_what_is_trained_untracked_leaves_no_trace(active_run):
    with untracked():
        log_epoch("visual", 0, {"train_loss": 9.0})
        assert child_run("visual") is None
    log_epoch("visual", 0, {"train_loss": 1.0})
    run = child_run("visual")
    history = run.client.get_metric_history(run.run_id, "train_loss")
    assert [entry.value for entry in history] == [1.0]


def test_each_model_has_a_run_of_its_own(active_run):
    assert child_run("ensemble").run_id != child_run("ridge").run_id


def test_a_metric_without_a_value_is_left_out(active_run):
    run = child_run("mean")
    run.log_metrics({"mse": 1.0, "spearman": float("nan")})
    assert set(run.client.get_run(run.run_id).data.metrics) == {"mse"}


def test_nested_parameters_are_flattened():
    assert flatten({"a": {"b": {"c": 1}}, "d": 2}) == {"a.b.c": 1, "d": 2}


def test_a_history_is_logged_once_also_where_some_epochs_were_live(active_run):
    history = [
        {"epoch": epoch, "train_loss": 1.0, "validation_loss": 2.0, "seconds": 0.1}
        for epoch in range(3)
    ]
    log_epoch("visual", 0, {"train_loss": 1.0, "validation_loss": 2.0})
    run = child_run("visual")
    run.log_history(history)
    entries = run.client.get_metric_history(run.run_id, "train_loss")
    assert [entry.step for entry in entries] == [0, 1, 2]
