"""Words of posts and names of files are words: for tables, pages and spreadsheets."""

from __future__ import annotations

import csv
import json

import pandas as pd
import pytest

from tests.hostile.corpus import TEXTS, VIEWS, hostile_posts, write_posts
from tiktok_virality.datasets import PostMetadata, SpreadsheetCSV
from tiktok_virality.datasets.post_formats import read_csv, read_json
from tiktok_virality.pipelines.ingestion.card import summarise
from tiktok_virality.pipelines.ingestion.card_page import render_card
from tiktok_virality.pipelines.ingestion.nodes import match_posts
from tiktok_virality.schema import DataError


def test_posts_of_hostile_words_are_matched_stored_and_shown(corpus, tmp_path):
    ids = [f"clip {n}" for n in range(60)]
    for video_id in ids:
        (corpus.videos / f"{video_id}.mp4").write_bytes(b"not opened here")
    posts = hostile_posts(ids, seed=5)
    for place, text in enumerate(TEXTS):
        posts[place] |= {"caption": text, "creator": text, "topic": text, "url": text}
    write_posts(corpus.folder / "metadata.json", posts)
    matched = corpus.match()
    assert set(ids) <= set(matched["video_id"])
    matched.to_parquet(tmp_path / "posts.parquet")
    assert len(pd.read_parquet(tmp_path / "posts.parquet")) == len(matched)
    usable = matched[matched["reason"].isna()]
    manifest = usable.assign(
        duration_seconds=9.0,
        width=9,
        height=16,
        fps=30.0,
        video_codec="h264",
        has_audio=True,
        content_hash=usable["video_id"],
        duplicate_group=usable["video_id"],
        size_bytes=1000,
    )
    rejects = matched[matched["reason"].notna()].assign(stage="posts")
    rejects = rejects[["video_id", "stage", "reason", "detail"]]
    page = render_card(summarise(matched, manifest, rejects, None, None))
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    assert "<svg/onload" not in page


@pytest.mark.parametrize("views", VIEWS, ids=range(len(VIEWS)))
def test_a_count_that_is_none_costs_its_post_alone(corpus, views):
    for name in ("a", "b"):
        (corpus.videos / f"{name}.mp4").write_bytes(b"x")
    corpus.describe({"id": "a", "views": views}, {"id": "b", "views": 7})
    matched = corpus.match().set_index("video_id")
    assert matched.loc["b", "views"] == 7
    assert pd.isna(matched.loc["b", "reason"])
    assert matched.loc["a", "reason"] == "bad count" or 0 <= matched.loc["a", "views"] <= 10**11


def test_half_a_character_is_replaced(tmp_path):
    (tmp_path / "metadata.json").write_text('[{"id": "a", "views": 1, "caption": "x \\ud83d y"}]')
    assert PostMetadata(filepath=str(tmp_path)).load()["caption"].tolist() == ["x ? y"]


def test_json_without_a_floor_is_no_json(tmp_path):
    path = tmp_path / "metadata.json"
    path.write_text("[" * 200_000)
    with pytest.raises(DataError, match="is not valid JSON"):
        read_json(path)


def test_fields_in_fields_are_read_to_a_depth(tmp_path):
    deep: dict = {"end": 1}
    for _ in range(400):
        deep = {"more": deep}
    (tmp_path / "metadata.json").write_text(json.dumps([{"id": "a", "views": 1, "x": deep}]))
    assert PostMetadata(filepath=str(tmp_path)).load()["id"].tolist() == ["a"]


def test_a_caption_of_a_table_may_be_as_long_as_a_book(tmp_path):
    path = tmp_path / "metadata.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "views", "caption"], ["a", "1", "b" * 300_000]])
    assert len(read_csv(path)[0]["caption"]) == 300_000


def test_a_spreadsheet_runs_nothing_and_a_program_reads_what_was_written(tmp_path):
    texts = ["=1+1", "+1", "-1+2", "@SUM(A1)", " =1", "'=1", "''=1", "'plain", "plain", "\t=1", ""]
    table = pd.DataFrame({"video_id": texts, "prediction": [-1.5] * len(texts)})
    dataset = SpreadsheetCSV(
        filepath=str(tmp_path / "t.csv"),
        save_args={"index": False},
        load_args={"keep_default_na": False},
    )
    dataset.save(table)
    with (tmp_path / "t.csv").open(newline="") as file:
        written = [row["video_id"] for row in csv.DictReader(file)]
    assert not any(text.lstrip()[:1] in ("=", "+", "-", "@") for text in written if text)
    loaded = dataset.load()
    assert loaded["video_id"].tolist() == texts
    assert loaded["prediction"].tolist() == [-1.5] * len(texts)
    dataset.save(table.iloc[:0])
    assert dataset.load().empty


def test_a_post_names_no_file_outside_of_the_folder(corpus):
    (corpus.videos / "a.mp4").write_bytes(b"x")
    posts = [
        {"id": "x", "file": "../../../etc/passwd", "views": 1},
        {"id": "y", "file": "/etc/passwd", "views": 1},
        {"id": "a", "views": 1},
    ]
    corpus.describe(*posts)
    metadata, videos = corpus.load()
    matched = match_posts(metadata, videos, corpus.forget_list).set_index("video_id")
    assert matched["reason"].dropna().to_dict() == {"x": "no file", "y": "no file"}
