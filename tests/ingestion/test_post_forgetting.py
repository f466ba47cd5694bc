from __future__ import annotations

import csv
import json
import re

import pandas as pd
import pytest

from tiktok_virality.datasets import PostMetadata
from tiktok_virality.datasets.forget_list import ForgetList
from tiktok_virality.datasets.forgetting import Forgotten, forget_rows

SPELLINGS = ("@Name", "name", "Name ", "NAME")
LINE_ENDS = ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\n", "\r", "\r\n")


def write_captions(path) -> list[str]:
    """Write a post for every kind of line end, with it in the caption; return the captions."""
    captions = [f"first{end}second #x" for end in LINE_ENDS]
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = [(f"71{n}", caption, 5) for n, caption in enumerate(captions)]
        csv.writer(file).writerows([("id", "caption", "views"), *rows])
    return captions


def test_a_line_end_in_a_caption_ends_no_row(tmp_path):
    captions = write_captions(tmp_path / "metadata.csv")
    posts = PostMetadata(filepath=str(tmp_path)).load()
    assert posts["caption"].tolist() == captions
    assert posts["views"].tolist() == ["5"] * len(captions)


@pytest.mark.parametrize("gone", ["710", "714"])
def test_forgetting_a_post_keeps_the_captions_of_the_others_whole(tmp_path, gone):
    captions = write_captions(tmp_path / "metadata.csv")
    metadata = PostMetadata(filepath=str(tmp_path))
    assert metadata.forget(Forgotten.of([gone], [], ForgetList())) == 1
    del captions[int(gone[2:])]
    assert metadata.load()["caption"].tolist() == captions


@pytest.mark.parametrize("asked", ["@Name", "name", "NAME "])
def test_a_creator_is_forgotten_however_the_name_is_written(tmp_path, asked):
    posts = [
        *({"id": f"71{n}", "views": 1, "creator": who} for n, who in enumerate(SPELLINGS)),
        {"id": "720", "views": 1, "url": "https://x.example/@nAme/video/720"},
        {"id": "721", "views": 1, "creator": "other", "caption": "with @NaMe and @names"},
    ]
    (tmp_path / "metadata.json").write_text(json.dumps(posts))
    metadata = PostMetadata(filepath=str(tmp_path))
    assert metadata.forget(Forgotten.of([], [asked], ForgetList())) == len(posts) - 1
    left = metadata.load()
    assert left["id"].tolist() == ["721"]
    assert re.fullmatch("with @forgotten-[0-9a-f]{12} and @names", left["caption"][0])


def test_a_table_loses_a_creator_however_the_name_is_written(tmp_path):
    path = tmp_path / "posts.parquet"
    pd.DataFrame({"video_id": list("abc"), "creator_id": [*SPELLINGS[:2], "other"]}).to_parquet(
        path
    )
    assert forget_rows(path, Forgotten.of([], ["@NAME"], ForgetList())) == 2
    assert pd.read_parquet(path)["video_id"].tolist() == ["c"]


@pytest.mark.parametrize("name", SPELLINGS)
def test_the_forget_list_knows_a_creator_however_the_name_is_written(name):
    listed = ForgetList().with_creators(["@Name"], ["71"])
    assert name in listed
    assert "names" not in listed
    assert "71" in listed
