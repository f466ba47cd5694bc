from __future__ import annotations

import pandas as pd
import pytest

from tests.ingestion.published_files import published_rows, write_published
from tiktok_virality.addresses import creator_in_url, id_in_url
from tiktok_virality.datasets import PostMetadata
from tiktok_virality.pipelines.ingestion.posts import (
    creators,
    moments_in_ids,
    parse_hashtags,
    parse_moments,
    parse_posts,
    posting_times,
)

ID = "7106594312292453675"
IN_ID = pd.Timestamp("2022-06-07T20:15:27Z")
CAPTURED = "2022-07-01"
TODAY = pd.Timestamp("2026-01-01", tz="UTC")


def texts(*values: str | None) -> pd.Series:
    return pd.Series(values, dtype="str")


def posted(said: str | None, post_id: str = ID, captured: str | None = CAPTURED) -> pd.Series:
    raw = pd.DataFrame({"id": texts(post_id), "posted_at": texts(said)})
    return posting_times(raw, parse_moments(texts(captured)), TODAY).iloc[0]


@pytest.mark.parametrize(
    "text",
    [
        "1654646400",
        "1654646400.0",
        "1654646400000",
        "20220608",
        "2022-06-08",
        "2022-06-08T02:00:00+02:00",
    ],
)
def test_moments_are_read_in_every_common_form(text):
    assert parse_moments(texts(text))[0] == pd.Timestamp("2022-06-08", tz="UTC")


@pytest.mark.parametrize("text", [None, "yesterday", "99999999", "2022-13-41", "06/08/2022"])
def test_a_moment_that_cannot_be_read_is_missing(text):
    assert pd.isna(parse_moments(texts(text))[0])


def test_only_a_19_digit_id_tells_when_it_was_made():
    others = ("71065943122924536", "710659431229245367", "a106594312292453675", "0" * 19, None)
    moments = moments_in_ids(texts(ID, *others))
    assert moments[0] == IN_ID
    assert moments[1:].isna().all()


def test_a_missing_time_of_posting_comes_from_the_id():
    row = posted(None)
    assert (row.posted_at, row.posted_at_from) == (IN_ID, "id")
    assert pd.isna(row.posted_at_fault)


def test_the_time_that_a_source_gives_goes_before_that_of_the_id():
    row = posted("2022-06-08")
    assert (row.posted_at.day, row.posted_at_from) == (8, "source")


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("20120101", "source, 2012-01-01, is before 2014"),
        ("2022-07-03", "source, 2022-07-03, is after its capture"),
        ("last week", "'last week' is unreadable"),
    ],
)
def test_an_impossible_time_is_not_taken_and_the_reason_is_noted(said, fault):
    row = posted(said, post_id="71")
    assert pd.isna(row.posted_at)
    assert fault in row.posted_at_fault
    assert posted(said).posted_at == IN_ID


def test_a_capture_on_the_day_of_posting_is_not_before_it():
    assert posted("2022-07-01T18:00:00Z").posted_at_from == "source"


def test_an_id_of_the_future_tells_no_time():
    row = posted(None, post_id="9223372036854775807", captured=None)
    assert pd.isna(row.posted_at)
    assert row.posted_at_fault.endswith("is after today")


def test_the_creator_is_in_the_address():
    assert creator_in_url("https://www.tiktok.com/@some.one/video/7106?x=1") == "some.one"
    assert creator_in_url("https://example.org/7106") is None


@pytest.mark.parametrize(
    ("address", "post_id"),
    [
        (f"https://www.tiktok.com/@a/video/{ID}?x=1", ID),
        (f"https://www.tiktok.com/@a/photo/{ID}", ID),
        (f"https://m.tiktok.com/v/{ID}.html", ID),
        ("https://x.example/v/71ab", None),
        ("https://www.tiktok.com/@a", None),
    ],
)
def test_the_id_is_in_the_address(address, post_id):
    assert id_in_url(address) == post_id


def test_a_creator_is_one_however_the_name_is_written():
    urls = texts(None, None, None, "https://x/@NAME/video/1", "https://x/@name/video/2")
    raw = pd.DataFrame({"creator": texts("@Name", "name", "Name ", None, "@"), "url": urls})
    assert creators(raw).tolist() == ["name"] * 5


def test_hashtags_come_from_their_column_or_else_from_the_caption():
    assert parse_hashtags("#Dance, fyp", "ignored #x") == "dance fyp"
    assert parse_hashtags(None, "look #Über #fun #fun") == "über fun"
    assert parse_hashtags(None, None) == ""


def test_a_file_in_the_published_format_is_read_without_a_mistake(tmp_path):
    rows = published_rows(seed=1)
    write_published(tmp_path, rows)
    posts = parse_posts(PostMetadata(filepath=str(tmp_path)).load(), TODAY)
    views = [None if pd.isna(value) else value for value in posts["views"]]
    assert views == [row.views for row in rows]
    assert posts["fault"].isna().tolist() == [row.views is not None for row in rows]
    seconds = [None if pd.isna(moment) else moment.timestamp() for moment in posts["posted_at"]]
    assert seconds == [row.posted_second for row in rows]
