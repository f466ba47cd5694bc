"""A real MLflow server that is killed, stopped or not there: the run goes on and says so."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.session.conftest import Project, make_project
from tests.session.test_places import PLANT
from tiktok_virality.tracking import child_run, log_epoch
from tiktok_virality.tracking.outbox import OUTBOX

pytestmark = pytest.mark.slow

LOSSES = [3.0, 2.0, 1.0]


class Server:
    """An MLflow server on this machine, with all its processes."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder = folder
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
                *("--backend-store-uri", f"sqlite:///{self._folder / 'server.db'}"),
                *("--artifacts-destination", str(self._folder / "artifacts")),
                *("--host", "127.0.0.1", "--port", str(self.port)),
            ],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        patient = requests.Session()
        patient.mount("http://", HTTPAdapter(max_retries=Retry(connect=12, backoff_factor=0.2)))
        assert patient.get(f"{self.uri}/health", timeout=120).ok

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.wait()


@pytest.fixture
def server(tmp_path_factory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    if server._process.poll() is None:
        server.kill()


@pytest.fixture
def run(server: Server, monkeypatch) -> Iterator[mlflow.ActiveRun]:
    """An active run on the server, as a pipeline has one."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "3")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    mlflow.set_tracking_uri(server.uri)
    mlflow.set_experiment("away")
    run = mlflow.start_run()
    OUTBOX.begin(run, lambda: None)
    yield run
    OUTBOX.begin(None, lambda: None)
    if server._process.poll() is not None:
        server.start()
    mlflow.end_run()
    mlflow.set_tracking_uri(None)


def epochs() -> list[tuple[int, float]]:
    run = child_run("ensemble")
    found = run.client.get_metric_history(run.run_id, "train_loss")
    return [(each.step, each.value) for each in found]


def test_what_a_stopped_server_misses_it_hears_of_when_it_goes_on(server, run, caplog):
    server.signal(signal.SIGSTOP)
    began = time.monotonic()
    for epoch, loss in enumerate(LOSSES):
        log_epoch("ensemble", epoch, {"train_loss": loss})
    assert time.monotonic() - began < 60  # one timeout, and not one for each
    assert caplog.text.count("does not answer") == 1
    server.signal(signal.SIGCONT)
    OUTBOX.send()
    assert epochs() == list(enumerate(LOSSES))


def test_what_a_killed_server_misses_it_hears_of_when_it_is_back(server, run):
    log_epoch("ensemble", 0, {"train_loss": LOSSES[0]})
    server.kill()
    for epoch, loss in enumerate(LOSSES[1:], 1):
        log_epoch("ensemble", epoch, {"train_loss": loss})
    server.start()
    OUTBOX.send()
    assert epochs() == list(enumerate(LOSSES))


def test_a_run_that_ends_while_the_server_is_away_says_what_is_not_logged(server, run, caplog):
    server.kill()
    log_epoch("ensemble", 0, {"train_loss": LOSSES[0]})
    OUTBOX.end()
    assert "not logged are metrics of ensemble. Everything is in the data folder" in caplog.text


def test_one_thing_that_is_refused_keeps_nothing_else(server, run, caplog):
    OUTBOX.log("a wrong metric", lambda: mlflow.log_metric("a%b?", 1.0))
    log_epoch("ensemble", 0, {"train_loss": LOSSES[0]})
    assert "a wrong metric is not logged in MLflow" in caplog.text
    assert epochs() == [(0, LOSSES[0])]


@pytest.fixture
def project(tmp_path: Path, server: Server) -> Project:
    pytest.importorskip("espeakng_loader", reason="extra `demo` is not installed")
    project = make_project(tmp_path)
    (tmp_path / "conf" / "demo" / "mlflow.yml").write_text(
        f"server: {{mlflow_tracking_uri: '{server.uri}'}}"
    )
    return project


def test_a_whole_run_outlives_its_server_and_the_next_one_logs_all_of_it(project, server):
    process = project.start("run", *PLANT)
    said = []
    for line in process.stdout:
        said.append(line)
        if "Completed node" in line and server._process.poll() is None:
            server.kill()
    assert process.wait() == 0, "".join(said)[-5000:]
    assert "does not answer" in "".join(said)
    assert "this run has ended: not logged are" in "".join(said)
    assert len(list((project.path / "data/demo/01_raw/videos").glob("*.mp4"))) == 12
    server.start()
    again = project.run(*PLANT)
    assert again["videos"].computed == 0
    store = mlflow.MlflowClient(server.uri)
    experiment = store.get_experiment_by_name("tiktok_virality")
    [latest, killed] = store.search_runs([experiment.experiment_id])
    assert latest.info.status == "FINISHED"
    assert latest.data.metrics["stage/videos/skipped"] == 12
    assert killed.info.status == "RUNNING"  # nobody could tell the server otherwise


def test_a_run_that_finds_no_server_logs_in_the_project_and_says_where(project, server):
    server.kill()
    finished = project.kedro("run", *PLANT)
    said = "".join(finished.stdout.split())
    assert "doesnotanswer.Thisrunisloggedin" in said
    store = mlflow.MlflowClient(f"sqlite:///{project.path / 'mlflow_offline.db'}")
    experiment = store.get_experiment_by_name("tiktok_virality")
    [run] = store.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["stage/videos/done"] == 12
