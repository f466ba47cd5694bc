"""The notes of a collection: appended to, whole after a crash, and read as a state."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from kedro.io import DatasetError

from tests.collection.conftest import NOW
from tiktok_virality.collection.corpus import download_queue, links_wanted
from tiktok_virality.collection.ledger import (
    CollectedVideo,
    CountSnapshot,
    FailedVideo,
    FoundVideo,
)
from tiktok_virality.datasets import (
    CollectionFolder,
    DownloadArchive,
    JsonLines,
    SiteCredentials,
)

LINK = FoundVideo(video_id="71", topic="Sports", hashtag="football", found_at=NOW)
COUNTS = CountSnapshot(video_id="71", captured_at=NOW, views=5, likes=1, comments=None, shares=0)
FAILED = FailedVideo(
    video_id="71",
    topic="Sports",
    step="download",
    reason="unreachable",
    detail="status 503",
    is_final=False,
    failed_at=NOW,
)


@pytest.fixture
def folder(tmp_path: Path) -> CollectionFolder:
    return CollectionFolder(filepath=str(tmp_path / "collection"), path=str(tmp_path / "videos"))


def links(count: int, topic: str = "Sports") -> list[FoundVideo]:
    return [replace(LINK, video_id=f"{topic}{number}", topic=topic) for number in range(count)]


def hold(folder: CollectionFolder, tmp_path: Path, link: FoundVideo) -> None:
    file = tmp_path / "unfinished.mp4"
    file.write_bytes(b"a video")
    counts = replace(COUNTS, video_id=link.video_id)
    folder.save(
        CollectedVideo(
            video_id=link.video_id, topic=link.topic, path=file, record={"id": "71"}, counts=counts
        )
    )


def test_an_empty_folder_is_an_empty_state(folder):
    assert not folder.exists()
    assert folder.load().found == {}
    assert folder.load().pending == []


def test_a_video_has_its_record_and_its_count_before_it_has_its_name(folder, tmp_path):
    """As after a kill just before the renaming, which fails here for want of the file."""
    gone = CollectedVideo(
        video_id="71", topic="Sports", path=tmp_path / "gone", record={"id": "71"}, counts=COUNTS
    )
    with pytest.raises(FileNotFoundError):
        folder.save(gone)
    assert [path.name for path in (tmp_path / "videos").iterdir()] == ["71.info.json"]
    assert folder.load().held == frozenset()
    assert "71" in folder.load().last_counted


def test_a_line_that_a_crash_cut_off_costs_nothing_but_itself(folder, tmp_path, caplog):
    file = tmp_path / "collection" / "found_videos.jsonl"
    folder.save(LINK)
    with file.open("a") as notes:
        notes.write('{"video_id": "72", "topi')
    folder.save(replace(LINK, video_id="73"))
    assert list(folder.load().found) == ["71", "73"]
    assert "line 2 is cut off" in caplog.text


def test_a_link_counts_for_the_topic_that_found_it_first(folder):
    folder.save([LINK, replace(LINK, topic="Music")])
    assert folder.load().found["71"].topic == "Sports"


def test_a_video_that_failed_three_times_is_given_up(folder):
    folder.save([LINK, FAILED, FAILED])
    assert [link.video_id for link in folder.load().pending] == ["71"]
    folder.save(FAILED)
    assert folder.load().pending == []


def test_links_are_looked_for_where_videos_lack_and_nowhere_else(corpus, tmp_path):
    parameters = corpus.parameters(videos_per_topic=2, links_per_video=2)
    folder = corpus.folder
    assert links_wanted(folder.load(), parameters) == {"Sports": 4, "Music": 4}
    folder.save([*links(4), *links(1, "Music")])
    assert links_wanted(folder.load(), parameters) == {"Music": 3}
    folder.save(replace(FAILED, video_id="Sports0", is_final=True))
    assert links_wanted(folder.load(), parameters) == {"Sports": 1, "Music": 3}
    for link in links(3)[1:]:
        hold(folder, tmp_path, link)
    assert links_wanted(folder.load(), parameters) == {"Music": 3}


def test_topics_may_have_numbers_of_their_own(corpus):
    parameters = corpus.parameters(topic_counts={"Music": 0}, links_per_video=1)
    assert links_wanted(corpus.state, parameters) == {"Sports": 3}
    with pytest.raises(ValueError, match="topic_counts names Chess, not in topics"):
        corpus.parameters(topic_counts={"Chess": 1})


def test_some_topics_may_be_chosen(corpus):
    """Those of an environment come on top of the default ones, so there must be a way back."""
    parameters = corpus.parameters(only_topics=["Music"], topic_counts={"Sports": 5})
    assert links_wanted(corpus.state, parameters) == {"Music": 5}
    assert type(parameters).model_validate(parameters.model_dump(mode="json")) == parameters
    with pytest.raises(ValueError, match="only_topics names Chess, not in topics"):
        corpus.parameters(only_topics=["Chess"])


def test_the_order_of_downloads_is_random_and_the_same_for_the_same_seed(corpus):
    corpus.folder.save(links(20))
    parameters = corpus.parameters()
    first, again, other = (
        [link.video_id for link in download_queue(corpus.state, parameters, seed)]
        for seed in (1, 1, 2)
    )
    found = [link.video_id for link in links(20)]
    assert first == again
    assert sorted(first) == sorted(other) == sorted(found)
    assert found != first != other


def test_snapshots_are_a_table_that_grows(tmp_path):
    table = JsonLines(filepath=str(tmp_path / "counts.jsonl"), columns=["video_id", "views"])
    assert table.load().columns.tolist() == ["video_id", "views"]
    table.save(pd.DataFrame({"video_id": ["71"], "views": [5]}))
    table.save(pd.DataFrame({"video_id": ["71"], "views": [8]}))
    assert table.load()["views"].tolist() == [5, 8]
    assert table.preview(1)["data"] == [["71", 8]]


def test_what_is_to_be_forgotten_leaves_no_line_and_no_part_of_a_file(folder, tmp_path):
    other = replace(LINK, video_id="72")
    folder.save([LINK, other, FAILED])
    hold(folder, tmp_path, LINK)
    hold(folder, tmp_path, other)
    unfinished = tmp_path / "videos" / ".unfinished"
    unfinished.mkdir()
    (unfinished / "71.play.mp4.part").touch()
    notes = tmp_path / "collection"
    tables = [JsonLines(filepath=str(file), columns=[]) for file in notes.glob("*.jsonl")]
    archive = DownloadArchive(filepath=str(notes / "archive.txt"), path=str(unfinished.parent))
    for dry_run in (True, False):
        assert [table.forget({"71"}, dry_run=dry_run) for table in tables] == [1, 1, 1]
        assert archive.forget({"71"}, dry_run=dry_run) == 2
    assert not any("71" in file.read_text().replace(NOW, "") for file in notes.iterdir())
    assert list(unfinished.iterdir()) == []
    assert archive.load() == list(folder.load().found) == ["72"]


def credentials(tmp_path: Path, **given: str | None) -> SiteCredentials:
    return SiteCredentials(filepath=str(tmp_path / "local" / "key"), credentials=given)


def test_a_key_is_made_once_and_only_its_owner_reads_it(tmp_path):
    key = credentials(tmp_path, proxy=None).load().creator_key
    assert credentials(tmp_path).load().creator_key == key
    assert len(key.get_secret_value()) == 64
    assert stat.S_IMODE((tmp_path / "local" / "key").stat().st_mode) == 0o600
    assert key.get_secret_value() not in repr(credentials(tmp_path).load())


def test_a_key_in_the_credentials_goes_first(tmp_path):
    assert credentials(tmp_path, creator_key="k").load().creator_key.get_secret_value() == "k"
    assert not (tmp_path / "local").exists()


def test_a_wrong_credential_is_named(tmp_path):
    with pytest.raises(DatasetError, match=r"credentials\.yml: proxi: Extra inputs.*cookies_file"):
        credentials(tmp_path, proxi="http://x").load()


def test_notes_are_lines_of_json(folder, tmp_path):
    folder.save(COUNTS)
    text = (tmp_path / "collection" / "count_snapshots.jsonl").read_text()
    assert json.loads(text) == asdict(COUNTS)
