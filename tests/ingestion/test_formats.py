from __future__ import annotations

import json

import pandas as pd
import pytest
from kedro.io import DatasetError

from tiktok_virality.datasets import PostMetadata
from tiktok_virality.datasets.post_formats import form_of
from tiktok_virality.pipelines.ingestion.post_ids import is_rounded, whole_ids

ID = "7106594312292453675"

COLLECTOR_POST = {
    "id": ID,
    "text": "Confidence went #up",
    "createTime": 1654646400,
    "authorMeta": {"id": "65", "name": "ann", "nickName": "Ann B.", "heart": 12},
    "musicMeta": {"musicId": "6882", "musicName": "tune"},
    "webVideoUrl": f"https://www.tiktok.com/@ann/video/{ID}",
    "videoUrl": "https://cdn.example.org/x.mp4",
    "videoMeta": {"height": 1024, "width": 576, "duration": 15},
    "diggCount": 3710,
    "shareCount": 50,
    "playCount": 44800,
    "commentCount": 68,
    "hashtags": [{"id": "1", "name": "fyp", "title": ""}, {"id": "2", "name": "dance"}],
}
RESEARCH_POST = {
    "id": int(ID),
    "create_time": 1654646400,
    "username": "ann",
    "region_code": "US",
    "video_description": "Confidence went #up",
    "music_id": 6882,
    "like_count": 3710,
    "comment_count": 68,
    "share_count": 50,
    "view_count": 44800,
    "hashtag_names": ["fyp", "dance"],
    "voice_to_text": "hello",
}
INFO = {
    "_type": "video",
    "id": ID,
    "description": "Confidence went #up",
    "webpage_url": f"https://www.tiktok.com/@ann/video/{ID}",
    "uploader": "ann",
    "view_count": 44800,
    "like_count": 3710,
    "comment_count": 68,
    "repost_count": 50,
    "timestamp": 1654646400,
    "tags": ["fyp", "dance"],
    "capture_time": "2023-11-14T22:13:20Z",
    "epoch": 1,
    "topic": "Dance",
}
ITEM = {
    "id": ID,
    "desc": "Confidence went #up",
    "createTime": 1654646400,
    "author": {"id": "65", "uniqueId": "ann", "nickname": "Ann B."},
    "stats": {"diggCount": 3710, "shareCount": 50, "commentCount": 68, "playCount": 44800},
    "hashtags": ["fyp", "dance"],
}
AWEME = {
    "aweme_id": ID,
    "desc": "Confidence went #up",
    "create_time": 1654646400,
    "author": {"uid": "65", "unique_id": "ann", "nickname": "Ann B."},
    "statistics": {
        "digg_count": 3710,
        "share_count": 50,
        "comment_count": 68,
        "play_count": 44800,
    },
    "share_url": f"https://www.tiktok.com/@ann/video/{ID}",
    "hashtags": ["fyp", "dance"],
}


def load(folder, **options) -> pd.DataFrame:
    return PostMetadata(filepath=str(folder), **options).load()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("trending.json", {"collector": [COLLECTOR_POST]}),
        ("metadata.json", {"collector": [COLLECTOR_POST]}),
        ("metadata.json", [COLLECTOR_POST]),
        ("metadata.json", [RESEARCH_POST]),
        ("metadata.json", [INFO]),
        ("metadata.json", [ITEM]),
        ("metadata.json", [AWEME]),
        ("metadata.json", {"data": {"videos": [RESEARCH_POST], "cursor": 1}, "error": {}}),
        ("metadata.json", [{"data": {"videos": []}}, {"data": {"videos": [RESEARCH_POST]}}]),
        (f"videos/{ID}.info.json", INFO),
    ],
)
def test_every_form_gives_the_same_columns(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    row = load(tmp_path).iloc[0]
    assert (row.id, row.creator, row.views) == (ID, "ann", "44800")
    assert (row.likes, row.comments, row.shares) == ("3710", "68", "50")
    assert (row.caption, row.hashtags) == ("Confidence went #up", "fyp dance")
    assert row.posted_at == "1654646400"


def test_a_plain_list_of_a_scraper_gives_all_that_it_holds(tmp_path, caplog):
    (tmp_path / "metadata.json").write_text(json.dumps([COLLECTOR_POST]))
    row = load(tmp_path).iloc[0]
    assert (row.creator, row.url) == ("ann", COLLECTOR_POST["webVideoUrl"])
    assert not caplog.records


@pytest.mark.parametrize("join", [".", "/"])
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_made_of_nested_posts_keeps_their_names(tmp_path, kind, join):
    table = pd.json_normalize([COLLECTOR_POST], sep=join).drop(columns="hashtags")
    if kind == "csv":
        table.to_csv(tmp_path / "metadata.csv", index=False)
    else:
        table.to_parquet(tmp_path / "metadata.parquet")
    row = load(tmp_path).iloc[0]
    assert (row.id, row.creator, row.views, row.likes) == (ID, "ann", "44800", "3710")
    assert row.url == COLLECTOR_POST["webVideoUrl"]


@pytest.mark.parametrize(
    ("post", "form"),
    [
        ({"views": 1, "caption": "x"}, "rows"),
        ({"playCount": 1, "authorMeta": {"name": "ann"}, "webVideoUrl": "x"}, "rows"),
        ({}, "rows"),
    ],
)
def test_in_doubt_a_list_holds_rows(post, form):
    assert form_of([post]) == form


def test_a_collected_record_says_its_topic_and_when_it_was_captured(tmp_path):
    (tmp_path / f"{ID}.info.json").write_text(json.dumps(INFO))
    row = load(tmp_path).iloc[0]
    assert (row.topic, row.captured_at) == ("Dance", "2023-11-14T22:13:20Z")


def test_columns_of_any_name_are_read_through_a_map(tmp_path):
    text = "Clip;Plays so far;Who\n71;1,234;Zoë\n"
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8")
    columns = {"id": "Clip", "views": "Plays so far", "creator": "Who"}
    posts = load(tmp_path, source="mine.csv", columns=columns)
    assert posts.loc[0, ["id", "views", "creator"]].tolist() == ["71", "1,234", "Zoë"]


def test_nested_fields_can_be_mapped(tmp_path):
    (tmp_path / "metadata.json").write_text('[{"id": 1, "stats": {"seen": 5}}]')
    assert load(tmp_path, columns={"views": "stats.seen"})["views"].tolist() == ["5"]


def test_a_parquet_table_keeps_every_digit(tmp_path):
    table = pd.DataFrame(
        {
            "video_id": [int(ID), 72],
            "views": [21_100_000.0, None],
            "likes": pd.array([3, None], dtype="Int64"),
            "timestamp": pd.to_datetime(["2022-06-08", None], utc=True),
        }
    )
    table.to_parquet(tmp_path / "metadata.parquet")
    posts = load(tmp_path)
    assert posts["id"].tolist() == [ID, "72"]
    assert posts["views"].tolist()[0] == "21100000"
    assert posts["posted_at"].tolist()[0] == "2022-06-08T00:00:00+00:00"
    assert posts.loc[1, ["views", "likes", "posted_at"]].isna().all()


def test_ids_that_were_stored_as_floats_are_known_for_rounded(tmp_path):
    """As a spreadsheet's are: the address has the whole one; a short one was never rounded."""
    address = f"https://www.tiktok.com/@who/video/{ID}"
    table = pd.DataFrame({"id": [float(ID), 72.0, None], "url": [address, None, address]})
    table.assign(views=1).to_parquet(tmp_path / "metadata.parquet")
    posts = load(tmp_path)
    assert is_rounded(posts.loc[0, "id"])
    found = whole_ids(posts)
    assert found["id"].tolist() == [ID, "72", ID]
    assert found["id_from"].tolist() == ["address, rounded", "source", "address"]


def test_a_number_that_json_cannot_hold_stays_what_it_is(tmp_path):
    (tmp_path / "metadata.json").write_text('[{"id": 1, "views": NaN}, {"id": 2, "views": true}]')
    assert load(tmp_path)["views"].tolist() == ["NaN", "True"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": {"plays": "x"}}, "names plays; there are id, url, views"),
        ({"format": "xml"}, "'xml'; there are rows, collector"),
    ],
)
def test_a_wrong_setting_stops_before_anything_is_read(tmp_path, options, message):
    with pytest.raises(DatasetError, match=message):
        PostMetadata(filepath=str(tmp_path), **options)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ([{"id": 1, "views": 2}], {"columns": {"creator": "Who"}}, "no creator column.*who"),
        ({"posts": []}, {}, 'a list "collector"'),
        ([{"id": 1, "views": 2}, "x"], {}, "number 2 is"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_says_so(tmp_path, content, options, message):
    (tmp_path / "metadata.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=message):
        load(tmp_path, **options)


def test_an_empty_collector_is_an_empty_table(tmp_path):
    (tmp_path / "trending.json").write_text('{"collector": []}')
    assert load(tmp_path).empty
