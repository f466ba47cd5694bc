"""The scorer in MLflow: registered by every training, served over HTTP, promoted."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.session.conftest import FirstRun
from tests.session.test_scoring import answer, clip, command, video

__all__ = ["answer", "clip", "video"]

NAME = "tiktok_virality_demo"
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def store(first_run: FirstRun) -> str:
    return f"sqlite:///{first_run.project.path / 'mlflow.db'}"


@pytest.fixture(scope="module")
def service(first_run: FirstRun, store: str, tmp_path_factory) -> Iterator[str]:
    """The champion, served as docs/scoring.md says."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("service") / "log").open("w")
    beside = str(Path(sys.executable).parent)
    served = ["-m", f"models:/{NAME}@champion", "--env-manager", "local", "--port", str(port)]
    serving = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "models", "serve", *served],
        env={
            **os.environ,
            "PATH": f"{beside}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_TRACKING_URI": store,
            "TIKTOK_VIRALITY_CLIPS": str(first_run.data / "01_raw" / "videos"),
            "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "600",
        },
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and serving.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/ping", timeout=2)
            break
        except OSError:
            time.sleep(0.2)  # until it listens
    yield address
    os.killpg(serving.pid, 15)
    serving.wait(30)


def ask(service: str, *clips: dict[str, str]) -> tuple[int, Any]:
    body = json.dumps({"dataframe_records": list(clips)}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{service}/invocations", body, headers)
    try:
        with urllib.request.urlopen(request, timeout=600) as response:
            return response.status, json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_first_training_is_the_champion_and_there_is_no_challenger_yet(first_run, store):
    from mlflow import MlflowClient

    client = MlflowClient(store)
    champion = client.get_model_version_by_alias(NAME, "champion")
    assert int(champion.version) >= 1
    said = command(first_run.project, "promote", "--env", "demo")
    assert said.returncode == 1
    assert "no challenger" in said.stderr or "clips" in said.stderr


@pytest.mark.slow
def test_the_service_gives_the_same_answer_by_path_and_by_content(service, clip, video, answer):
    by_path = {"clip": video.name, "caption": clip["caption"]}
    by_content = {**by_path, "clip": base64.b64encode(video.read_bytes()).decode()}
    for asked in (by_path, by_content):
        status, [told] = ask(service, asked)
        assert status == 200 and told["error"] is None
        assert told["prediction"] == pytest.approx(answer, abs=1e-4)


@pytest.mark.slow
def test_what_cannot_be_scored_is_a_400_with_the_reason(service, video):
    for wrong, reason in (
        ("nothing.mp4", "There is no file"),
        ("../../../../../etc/passwd", "not below the folder"),
        ("http://127.0.0.1/clip.mp4", "not in the public network"),
        ("data:video/mp4;base64," + base64.b64encode(b"text" * 400).decode(), "unreadable"),
    ):
        status, said = ask(service, {"clip": wrong})
        assert status == 400 and reason in said
    status, [fine, lost] = ask(service, {"clip": video.name}, {"clip": "nothing.mp4"})
    assert status == 200
    assert fine["error"] is None and "There is no file" in lost["error"]
    assert fine["expected"] > 0 and lost["expected"] is None


@pytest.mark.slow
def test_many_requests_at_once_are_all_answered_alike(service, first_run):
    videos = sorted((first_run.data / "01_raw" / "videos").glob("*.mp4"))[:4]
    alone = {path.name: ask(service, {"clip": path.name})[1][0]["prediction"] for path in videos}
    asked = [path.name for path in videos] * 6
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda name: ask(service, {"clip": name}), asked))
    assert [status for status, _ in answers] == [200] * len(asked)
    for name, (_, [told]) in zip(asked, answers, strict=True):
        assert told["prediction"] == pytest.approx(alone[name], abs=1e-5)
