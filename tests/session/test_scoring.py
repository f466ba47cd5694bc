"""A clip that is scored later has the answer that the same clip of the corpus has."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.session.conftest import FirstRun, Project
from tiktok_virality.datasets import StageStore
from tiktok_virality.models.trained import load_trained
from tiktok_virality.training.corpus import read_tokens
from tiktok_virality.training.predicting import predict_log_views


def command(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tiktok_virality.app", *arguments],
        cwd=project.path,
        env={**os.environ, "PYTHONPATH": str(project.path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def clip(first_run: FirstRun) -> pd.Series:
    """A clip of the corpus that has sound and a caption."""
    manifest = pd.read_parquet(first_run.data / "03_primary" / "manifest.parquet")
    return manifest[manifest["has_audio"] & manifest["caption"].notna()].iloc[0]


@pytest.fixture(scope="module")
def video(first_run: FirstRun, clip: pd.Series) -> Path:
    return first_run.data / "01_raw" / "videos" / f"{clip['video_id']}.mp4"


@pytest.fixture(scope="module")
def answer(first_run: FirstRun, clip: pd.Series) -> float:
    """What the served model says of it."""
    ensemble = load_trained(first_run.data / "06_models" / "ensemble")
    tables = {
        name: StageStore(filepath=str(first_run.data / "04_feature" / f"{name}_embeddings")).load()
        for name in ensemble.spec.token_sizes
    }
    return float(predict_log_views(ensemble, read_tokens([clip["video_id"]], tables))[0])


def test_the_pipeline_scores_what_is_not_posted_yet_and_watches_what_becomes_of_it(
    first_run, clip, video, answer
):
    unposted = first_run.data / "01_raw" / "unposted"
    unposted.mkdir()
    shutil.copy(video, unposted / "draft.mp4")
    (unposted / "broken.mp4").write_bytes(b"no video")
    posts = [{"file": "draft.mp4", "caption": clip["caption"], "hashtags": clip["hashtags"]}]
    (unposted / "metadata.json").write_text(json.dumps(posts))
    stages = first_run.project.run("--env", "demo", "--pipeline", "scoring")
    scores = pd.read_csv(first_run.data / "08_reporting" / "scores.csv")
    [row] = scores.to_dict("records")
    assert row["video_id"] == "draft"
    assert row["prediction"] == pytest.approx(answer, abs=1e-4)
    assert row["expected"] == pytest.approx(np.expm1(row["prediction"]))
    assert 0 <= row["percentile"] <= 100
    why = json.loads((first_run.data / "08_reporting" / "explanations.json").read_text())["draft"]
    assert why["prediction"] == pytest.approx(answer, abs=1e-4)
    assert len(why["moments"]) == np.ceil(clip["duration_seconds"])
    assert {"caption", "transcript"} >= {word["field"] for word in why["words"]} >= {"caption"}
    [lost] = pd.read_csv(first_run.data / "08_reporting" / "unscored.csv").to_dict("records")
    assert (lost["video_id"], lost["stage"]) == ("broken", "probe")
    assert stages["frames"].computed == 1
    again = first_run.project.run(
        *("--env", "demo", "--pipeline", "scoring", "--to-outputs", "scoring.frames")
    )
    assert again["frames"].computed == 0 and again["frames"].already_there == 1

    posted = first_run.data / "01_raw" / "posted"
    posted.mkdir()
    (posted / "metadata.json").write_text(json.dumps([{"file": "draft.mp4", "views": "1.2K"}]))
    first_run.project.run("--env", "demo", "--pipeline", "monitoring")
    told = json.loads((first_run.data / "08_reporting" / "monitoring.json").read_text())
    assert (told["clips"], told["scored"], told["advice"]) == (1, 1, "wait")


def test_the_command_gives_the_same_answer_and_leaves_nothing(first_run, clip, video, answer):
    before = {path for path in first_run.data.rglob("*") if "unposted" not in str(path)}
    said = command(
        first_run.project,
        *("score", str(video), "--caption", clip["caption"], "--env", "demo", "--json"),
    )
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert told["clips"][0]["prediction"] == pytest.approx(answer, abs=1e-4)
    assert told["corpus"]["synthetic"] and told["corpus"]["clips"] == 12
    assert told["unscored"] == [] and "explanations" not in told
    assert {path for path in first_run.data.rglob("*") if "unposted" not in str(path)} == before


def test_two_clips_are_compared(first_run, video):
    videos = sorted(video.parent.glob("*.mp4"))[:2]
    said = command(first_run.project, "compare", *map(str, videos), "--env", "demo")
    assert said.returncode == 0, said.stderr
    assert "is likelier to be watched more than" in said.stdout
    assert "promises nothing" in said.stdout


def test_without_a_model_it_is_said_how_to_get_one(first_run, video):
    said = command(first_run.project, "score", str(video))
    assert said.returncode == 1
    assert "No trained model" in said.stderr and "kedro run" in said.stderr
