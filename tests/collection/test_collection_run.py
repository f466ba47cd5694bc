"""`kedro run --pipeline collection` as a user starts it, on the local site, killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.collection import site as faults
from tests.collection.site import LocalSite, serve
from tests.session.conftest import Project, make_project
from tiktok_virality.media.probe import probe_video

pytestmark = pytest.mark.browser

TOPICS = (
    *("Sports", "Dance", "Entertainment", "Comedy and Drama", "Autos", "Fashion"),
    *("Lifestyle", "Pets and Nature", "Relationships", "Society", "Informative", "Music"),
)
PER_TOPIC = 5
WANTED = PER_TOPIC * len(TOPICS)
DEADLINE_SECONDS = 240
KILL_WHEN = (20, 45)


@pytest.fixture(scope="module")
def site() -> Iterator[LocalSite]:
    """Two hashtags for every topic, with five videos each."""
    with serve({hashtag: 5 for topic in TOPICS for hashtag in hashtags_of(topic)}) as running:
        yield running


@pytest.fixture(scope="module")
def project(site: LocalSite, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = make_project(tmp_path_factory.mktemp("collecting"), credentials={})
    settings = yaml.safe_load((made.path / "conf/base/parameters_collection.yml").read_text())
    settings["collection"] |= {
        "base_url": site.address,
        "topics": {topic: hashtags_of(topic) for topic in TOPICS},
        "videos_per_topic": PER_TOPIC,
    }
    settings["collection"]["politeness"] |= {
        "seconds_between_requests": 0.1,
        "first_retry_seconds": 0,
    }
    settings["collection"]["browser"] |= {"page_seconds": 30, "growth_seconds": 5}
    local = made.path / "conf" / "local" / "parameters_collection.yml"
    local.write_text(yaml.safe_dump(settings))
    return made


def hashtags_of(topic: str) -> list[str]:
    name = topic.replace(" ", "").lower()
    return [name, f"more{name}"]


def collection(project: Project) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", "--pipeline", "collection"],
        cwd=project.path,
        env={**os.environ, "KEDRO_DISABLE_TELEMETRY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_when(project: Project, is_time: Callable[[], bool]) -> None:
    """Start a collection, and kill it outright at some moment."""
    process = collection(project)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not is_time():
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def raw(project: Project) -> Path:
    return project.path / "data" / "01_raw"


def mp4s(project: Project) -> list[Path]:
    return sorted((raw(project) / "videos").glob("*.mp4"))


def links(project: Project) -> int:
    file = raw(project) / "collection" / "found_videos.jsonl"
    return file.read_text().count("\n") if file.exists() else 0


@pytest.fixture(scope="module")
def collected(project: Project, site: LocalSite) -> Project:
    """The project after a run killed while it looks, two killed while they fetch, and the last."""
    kill_when(project, lambda: links(project) >= WANTED // 2)
    assert mp4s(project) == []
    for number in KILL_WHEN:
        kill_when(project, lambda number=number: len(mp4s(project)) >= number)
        assert number <= len(mp4s(project)) < WANTED
    assert collection(project).wait(DEADLINE_SECONDS) == 0
    return project


def test_sixty_videos_of_twelve_topics_are_whole_and_have_records(collected):
    files = mp4s(collected)
    assert len(files) == WANTED
    topics = Counter()
    for file in files:
        assert probe_video(file).frame_count == 12
        record = json.loads(file.with_suffix(".info.json").read_text())
        assert record["id"] == file.stem
        topics[record["topic"]] += 1
    assert topics == dict.fromkeys(TOPICS, PER_TOPIC)


def test_no_video_is_downloaded_twice_and_no_file_is_left_over(collected, site):
    ids = {file.stem for file in mp4s(collected)}
    assert site.whole == dict.fromkeys(ids, 1)
    left = {path.name for path in (raw(collected) / "videos").iterdir()}
    assert left == {f"{each}{end}" for each in ids for end in (".mp4", ".info.json")}


def test_no_topic_is_looked_for_again_once_it_has_its_links(collected, site):
    visits = Counter(site.pages_asked("/tag/"))
    assert len(visits) == 2 * len(TOPICS)
    assert sum(visits.values()) <= 2 * len(TOPICS) + 2  # the topic that the first kill interrupted


def test_one_more_run_opens_no_page(collected, site):
    asked = len(site.asked)
    log = collected.kedro("run", "--pipeline", "collection").stdout
    assert "Enough links are known; no page is opened" in log
    assert len(site.asked) == asked


def test_a_later_run_adds_a_count_of_every_video(collected, site):
    site.views_more = 1000
    later = "collection.snapshot_after_days=0"
    collected.kedro("run", "--pipeline", "collection", "--params", later)
    table = pd.read_json(
        raw(collected) / "collection" / "count_snapshots.jsonl", lines=True, dtype={"video_id": str}
    )
    last = table.groupby("video_id")["views"].last()
    assert len(last) == WANTED
    assert all(site.posts[video_id].views + 1000 == views for video_id, views in last.items())


def test_what_was_collected_is_what_ingestion_reads(collected):
    collected.kedro("run", "--pipeline", "ingestion")
    manifest = pd.read_parquet(collected.path / "data" / "03_primary" / "manifest.parquet")
    assert sorted(manifest["video_id"]) == [file.stem for file in mp4s(collected)]
    assert manifest["captured_at"].notna().all()
    assert manifest["creator_id"].nunique() > 10
    assert not manifest["creator_id"].str.contains("maker").any()


def test_a_dry_run_lists_and_downloads_nothing(project, site, tmp_path):
    fresh = make_project(tmp_path, credentials={})
    local = "conf/local/parameters_collection.yml"
    (fresh.path / local).write_text((project.path / local).read_text())
    params = "collection.dry_run=true,collection.videos_per_topic=1"
    log = fresh.kedro("run", "--pipeline", "collection", "--params", params).stdout
    assert log.count(" 1 would be downloaded") == len(TOPICS)
    assert mp4s(fresh) == []


def test_a_captcha_ends_the_run_with_what_to_do(project, site, tmp_path):
    fresh = make_project(tmp_path, credentials={})
    local = "conf/local/parameters_collection.yml"
    (fresh.path / local).write_text((project.path / local).read_text())
    site.fail("/tag/", faults.captcha)
    finished = fresh.kedro("run", "--pipeline", "collection", check=False)
    site.rules.clear()
    assert finished.returncode != 0
    assert "shows a captcha instead of the page of #" in finished.stdout
    assert "What is finished is kept" in finished.stdout
