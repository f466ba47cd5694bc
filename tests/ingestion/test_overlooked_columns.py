from __future__ import annotations

import json

import pandas as pd
import pytest

from tests.ingestion.test_card import NO_FINGERPRINTS, NO_REJECTS, make_manifest, posts_of
from tiktok_virality.datasets import ParquetTable, PostMetadata
from tiktok_virality.datasets.forget_list import ForgetList
from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.datasets.overlooked_columns import ATTRIBUTE, column_like
from tiktok_virality.pipelines.ingestion.nodes import describe_dataset

HINT = "columns: {creator: authorX}"


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("authorX", "creator"),
        ("user_handle", "creator"),
        ("authorMeta.heart", "likes"),
        ("totalPlays", "views"),
        ("videoviews", "views"),
        ("createdAt", "posted_at"),
        ("uploaddate", "posted_at"),
        ("shareLink", "url"),
        ("video text", "caption"),
        ("VideoTags", "hashtags"),
        ("authorMeta.fans", None),
        ("musicMeta.musicAuthor", None),
        ("videoMeta.coverUrl", None),
        ("unlikely", None),
        ("display", None),
    ],
)
def test_a_name_resembles_a_column_by_the_stems_of_its_words(name, column):
    assert column_like(name) == column


def load(folder, posts, **options) -> pd.DataFrame:
    (folder / "metadata.json").write_text(json.dumps(posts))
    return PostMetadata(filepath=str(folder), **options).load()


def test_a_column_that_looks_like_a_missing_one_is_named_once_with_what_to_do(tmp_path, caplog):
    posts = [{"id": str(n), "views": 1, "authorX": "ann", "when_posted": "now"} for n in range(9)]
    table = load(tmp_path, posts)
    assert table.attrs[ATTRIBUTE] == {"creator": ["authorX"], "posted_at": ["when_posted"]}
    assert len(caplog.records) == 1
    assert HINT in caplog.text
    assert "{posted_at: when_posted}" in caplog.text
    caplog.clear()
    mapped = load(tmp_path, posts, columns={"creator": "authorX", "posted_at": "when_posted"})
    assert mapped["creator"].tolist() == ["ann"] * 9
    assert not caplog.records


def test_a_column_that_only_a_few_posts_have_is_not_enough(tmp_path):
    posts = [{"id": str(n), "views": 1, "authorX": "ann"} for n in range(9)]
    few = load(tmp_path, [{**posts[0], "creator": "bo"}, *posts[1:]])
    assert few.attrs[ATTRIBUTE] == {"creator": ["authorX"]}
    most = load(tmp_path, [posts[0], *({**post, "creator": "bo"} for post in posts[1:])])
    assert most.attrs[ATTRIBUTE] == {}


def test_what_names_a_creator_comes_before_what_else_is_said_of_one(tmp_path):
    author = {"age": 3, "nickname": "Ann", "fans": 7, "verified": True}
    table = load(tmp_path, [{"id": "1", "views": 1, "author": author}])
    assert table.attrs[ATTRIBUTE] == {"creator": ["author.nickname", "author.age"]}


@pytest.mark.parametrize(
    "known", [{"creator": "ann"}, {"url": "https://x.example/@ann/video/1", "avatar_url": "x"}]
)
def test_columns_that_are_merely_more_are_not_warned_of(tmp_path, caplog, known):
    load(tmp_path, [{"id": "1", "views": 1, "authorMeta": {"fans": 10, "id": "9"}, **known}])
    assert not caplog.records


def test_the_card_says_what_was_not_read(tmp_path):
    manifest = make_manifest(3)
    posts = posts_of(manifest)
    posts.attrs = {ATTRIBUTE: {"creator": ["authorX"]}}
    stored = ParquetTable(filepath=str(tmp_path / "posts.parquet"))
    stored.save(posts)
    stored.forget(Forgotten.of(["v0"], [], ForgetList()))
    summary, page = describe_dataset(
        stored.load(), manifest, NO_REJECTS, NO_FINGERPRINTS, None, None
    )
    assert summary["overlooked"] == {"creator": ["authorX"]}
    assert HINT in page


def test_posts_that_were_matched_tell_what_was_not_read(corpus):
    corpus.add("a.mp4")
    corpus.describe({"id": "a", "views": 1, "authorX": "ann"})
    assert corpus.match().attrs[ATTRIBUTE] == {"creator": ["authorX"]}
