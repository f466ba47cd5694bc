"""Shards of a corpus by command: two runs at once on the same data, then one that needs nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from tests.media.encoding import ffmpeg, h264, picture, tone
from tests.session.conftest import STAGE_LINE, Project

VIDEOS = 10
STAGES = ("video_probes", "frames", "waveforms", "fingerprints")


@pytest.fixture
def corpus(project: Project) -> Project:
    """A project with a few small videos and their posts, and one worker a stage."""
    raw = project.path / "data" / "01_raw"
    (raw / "videos").mkdir(parents=True)
    for number in range(VIDEOS):
        clip = raw / "videos" / f"clip{number}.mp4"
        seconds = 1.2 + number / 10
        ffmpeg(*picture(seconds=seconds), *tone(seconds), *h264(), "-c:a", "aac", clip)
    posts = pd.DataFrame({"id": [f"clip{number}" for number in range(VIDEOS)]})
    posts = posts.assign(views="1K", creator=[f"c{number // 2}" for number in range(VIDEOS)])
    posts.to_csv(raw / "metadata.csv", index=False)
    (project.path / "conf" / "local" / "globals.yml").write_text("engine: {workers: 1}\n")
    return project


@pytest.mark.slow
def test_two_shard_runs_at_once_leave_nothing_to_compute(corpus):
    def run(shard: str) -> str:
        return corpus.kedro("run", "--pipelines", "ingestion", "--params", f"shard={shard}").stdout

    with ThreadPoolExecutor() as both:
        logs = list(both.map(run, ("1/2", "2/2")))
    for log in logs:
        assert "ends before what needs the whole corpus" in " ".join(log.split())
        assert "build_manifest" in log
    computed = {name: [] for name in STAGES}
    for log in logs:
        for name, done, *_ in STAGE_LINE.findall(log):
            computed[name].append(int(done))
    assert all(sum(each) == VIDEOS and min(each) for each in computed.values())
    written = {path.name for path in (corpus.path / "data" / "02_intermediate").iterdir()}
    assert written == set(STAGES)
    assert not (corpus.path / "mlflow.db").exists()

    stages = corpus.run("--pipelines", "ingestion", "--to-outputs", "manifest")
    assert {name: stage.computed for name, stage in stages.items()} == dict.fromkeys(STAGES, 0)
    manifest = pd.read_parquet(corpus.path / "data" / "03_primary" / "manifest.parquet")
    assert len(manifest) == VIDEOS
    assert not list((corpus.path / "data" / "02_intermediate").rglob("index-*.parquet"))


@pytest.mark.slow
def test_a_pipeline_without_stages_has_no_shards(project):
    finished = project.kedro("run", "--pipelines", "modeling", "--params", "shard=1/2", check=False)
    assert finished.returncode
    assert "Run it without `shard`" in " ".join(finished.stdout.split())


@pytest.mark.slow
@pytest.mark.ray
def test_the_ray_environment_gives_what_the_local_one_gives(corpus):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    until = ("--pipelines", "ingestion", "--to-outputs", "fingerprints")
    stages = corpus.run("--env", "ray", *until)
    assert {name: stage.computed for name, stage in stages.items()} == dict.fromkeys(STAGES, VIDEOS)
    again = corpus.run(*until)
    assert {name: stage.already_there for name, stage in again.items()} == dict.fromkeys(
        STAGES, VIDEOS
    )
