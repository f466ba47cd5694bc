from __future__ import annotations

import json
import os

import pandas as pd
import pytest
from kedro.io import DatasetError

from tiktok_virality.datasets import PostMetadata, VideoFolder

INFO = {
    "_type": "video",
    "id": "7106594312292453675",
    "title": "short",
    "description": "A longer text #fun",
    "webpage_url": "https://www.tiktok.com/@ann/video/7106594312292453675",
    "url": "https://cdn.example.org/x.mp4",
    "uploader": "ann",
    "view_count": 541200,
    "timestamp": 1654646400,
    "epoch": 1700000000,
    "tags": ["fun", "dance"],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "videos").mkdir()
    return tmp_path


def load(folder, **options) -> pd.DataFrame:
    return PostMetadata(filepath=str(folder), **options).load()


def ids(folder) -> list[str]:
    return list(VideoFolder(filepath=str(folder)).load())


def test_video_ids_are_decoded_relative_paths(tmp_path):
    for name in ("b.MP4", "sub/a.webm", "x%2Fy.mkv", "cafe\u0301.mov", "v1.2.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert set(ids(tmp_path)) == {"b", "sub/a", "x/y", "caf\u00e9", "v1.2"}


def test_hidden_unfinished_and_other_files_are_no_videos(tmp_path):
    for name in (".a.mp4", "._b.mp4", "~c.mp4", "d.mp4.part", "e.temp.mp4", "f.json", ".g/h.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    (tmp_path / "folder.mp4").mkdir()
    assert ids(tmp_path) == []
    assert not VideoFolder(filepath=str(tmp_path)).exists()


def test_two_files_of_one_id_both_stay(tmp_path):
    for name in ("a.mov", "a.mp4"):
        (tmp_path / name).touch()
    assert ids(tmp_path) == ["a", "a.mp4"]


def test_a_file_name_that_is_no_text_still_gives_an_id(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).touch()
    assert ids(tmp_path) == ["caf\ufffd"]


def test_a_missing_folder_holds_no_videos(tmp_path):
    videos = VideoFolder(filepath=str(tmp_path / "gone")).load()
    assert len(videos) == 0
    assert repr(videos) == f"VideoFiles(0 videos in {tmp_path / 'gone'})"


def test_videos_have_a_preview(tmp_path):
    (tmp_path / "a.mp4").write_bytes(bytes(2_000_000))
    preview = VideoFolder(filepath=str(tmp_path)).preview()
    assert preview["data"] == [["a", str(tmp_path / "a.mp4"), 2.0]]


def test_the_published_form_is_read_to_the_last_digit(folder):
    text = '[{"id": 7106594312292453675, "url": "https://x/@a/1", "views": "21.1M"}]'
    (folder / "metadata.json").write_text(text)
    row = load(folder).iloc[0]
    assert (row.id, row.views, row.url) == ("7106594312292453675", "21.1M", "https://x/@a/1")
    assert pd.isna(row.caption)


def test_a_csv_keeps_its_digits_and_its_own_column_names(folder):
    text = "\ufeffVideo ID;Play Count;Author;text\n0071;1,234;Zoë;a\n7106594312292453675;;;\n"
    (folder / "metadata.csv").write_text(text, encoding="utf-8")
    posts = load(folder)
    assert posts["id"].tolist() == ["0071", "7106594312292453675"]
    assert posts.loc[0, ["views", "creator", "caption"]].tolist() == ["1,234", "Zoë", "a"]
    assert posts.loc[1, ["views", "creator"]].isna().all()


def test_info_files_name_the_video_beside_them(folder):
    (folder / "videos" / "Title [71].info.json").write_text(json.dumps(INFO))
    (folder / "videos" / "list.info.json").write_text('{"_type": "playlist", "id": "x"}')
    posts = load(folder)
    assert len(posts) == 1
    row = posts.iloc[0]
    assert row["file"] == "videos/Title [71]"
    assert (row.id, row.views, row.creator) == (INFO["id"], "541200", "ann")
    assert (row.url, row.caption) == (INFO["webpage_url"], "A longer text #fun")
    assert (row.posted_at, row.captured_at, row.hashtags) == (
        "1654646400",
        "1700000000",
        "fun dance",
    )


def test_json_goes_before_csv_unless_a_source_is_named(folder):
    (folder / "metadata.json").write_text('[{"id": "j", "views": 1}]')
    (folder / "metadata.csv").write_text("id,views\nc,2\n")
    assert load(folder)["id"].tolist() == ["j"]
    assert load(folder, source="metadata.csv")["id"].tolist() == ["c"]


def test_missing_metadata_says_what_to_put_where(folder):
    with pytest.raises(DatasetError, match=r"looked for metadata\.json.*\"views\": \"21\.1M\""):
        load(folder)
    assert not PostMetadata(filepath=str(folder)).exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"id": "1", "views": 5}', "not valid JSON.*line 1"),
        ('{"id": "1"}', "must hold a list of posts"),
        ("[1, 2]", "must hold a list of posts"),
        ('[{"id": "1", "likes": 5}]', "no views column.*found id, likes"),
        ('[{"name": "1", "views": 5}]', "no id or file or url column"),
    ],
)
def test_metadata_that_cannot_be_used_says_why(folder, text, message):
    (folder / "metadata.json").write_text(text)
    with pytest.raises(DatasetError, match=message):
        load(folder)


def test_a_csv_in_another_encoding_says_what_to_do(folder):
    (folder / "metadata.csv").write_bytes("id,views\nZoë,5\n".encode("latin-1"))
    with pytest.raises(DatasetError, match="in UTF-8"):
        load(folder)


def test_saved_posts_are_in_the_published_form(folder):
    posts = pd.DataFrame({"id": ["71", "72"], "views": ["1.2K", "5"], "caption": ["a", None]})
    dataset = PostMetadata(filepath=str(folder))
    dataset.save(posts)
    assert json.loads((folder / "metadata.json").read_text()) == [
        {"id": "71", "views": "1.2K", "caption": "a"},
        {"id": "72", "views": "5"},
    ]
    assert dataset.load()["views"].tolist() == ["1.2K", "5"]
    assert dataset.preview()["data"][0][0] == "71"
