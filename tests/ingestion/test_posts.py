from __future__ import annotations

import pandas as pd
import pytest

from tiktok_virality.pipelines.ingestion.posts import (
    CountError,
    creator_in_url,
    moment_in_id,
    parse_count,
    parse_hashtags,
    parse_moment,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("21.1M", 21_100_000),
        ("541.2K", 541_200),
        ("3384", 3_384),
        ("1,234", 1_234),
        ("12,345,678", 12_345_678),
        ("3.4B", 3_400_000_000),
        ("1.2k", 1_200),
        ("2 M", 2_000_000),
        ("3384.0", 3_384),
        (" 7 ", 7),
        ("0", 0),
    ],
)
def test_counts_are_read_to_the_last_view(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (None, "no view count"),
        ("-5", "negative"),
        ("-1.2K", "negative"),
        ("999B", "more than any video"),
        ("many", "unreadable"),
        ("", "unreadable"),
        ("12.3.4", "unreadable"),
        ("541,2K", "unreadable"),
        ("1,23", "unreadable"),
        ("1.2T", "unreadable"),
        ("nan", "unreadable"),
        ("3384.5", "no whole number"),
        ("1.2345K", "no whole number"),
    ],
)
def test_counts_that_cannot_be_taken_at_their_word_are_not_guessed(text, detail):
    with pytest.raises(CountError, match=detail):
        parse_count(text)


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
    assert parse_moment(text) == pd.Timestamp("2022-06-08", tz="UTC")


@pytest.mark.parametrize("text", [None, "yesterday", "99999999", "2022-13-41"])
def test_a_moment_that_cannot_be_read_is_none(text):
    assert parse_moment(text) is None


def test_a_19_digit_id_tells_when_it_was_made():
    assert moment_in_id("7106594312292453675").date().isoformat() == "2022-06-07"
    assert moment_in_id("71065943122924536") is None
    assert moment_in_id("a106594312292453675") is None


def test_the_creator_is_in_the_address():
    assert creator_in_url("https://www.tiktok.com/@some.one/video/7106?x=1") == "some.one"
    assert creator_in_url("https://example.org/7106") is None


def test_hashtags_come_from_their_column_or_else_from_the_caption():
    assert parse_hashtags("#Dance, fyp", "ignored #x") == "dance fyp"
    assert parse_hashtags(None, "look #Über #fun #fun") == "über fun"
    assert parse_hashtags(None, None) == ""
