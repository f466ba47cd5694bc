from __future__ import annotations

import csv

import pytest

from tiktok_virality.datasets import PostMetadata
from tiktok_virality.datasets.forget_list import ForgetList
from tiktok_virality.datasets.forgetting import Forgotten

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
