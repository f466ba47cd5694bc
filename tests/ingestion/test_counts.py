from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_virality.pipelines.ingestion.columns import MAX_VIEWS
from tiktok_virality.pipelines.ingestion.counts import parse_counts


def parse(text: str | None) -> tuple[int | None, str | None]:
    row = parse_counts(pd.Series([text], dtype="str")).iloc[0]
    return tuple(None if pd.isna(value) else value for value in (row["count"], row["fault"]))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("21.1M", 21_100_000),
        ("541.2K", 541_200),
        ("1.2K", 1_200),
        ("3384", 3_384),
        ("1,234", 1_234),
        ("12,345,678", 12_345_678),
        ("1,000.000", 1_000),
        ("3.4B", 3_400_000_000),
        ("1.2k", 1_200),
        ("1.234M", 1_234_000),
        ("2 M", 2_000_000),
        ("3384.0", 3_384),
        (" 7 ", 7),
        ("0", 0),
        ("007", 7),
        ("12万", 120_000),
        ("1.2亿", 120_000_000),
        ("1.2萬", 12_000),
        ("３億", 300_000_000),
        ("100B", MAX_VIEWS),
    ],
)
def test_counts_are_read_to_the_last_view(text, count):
    assert parse(text) == (count, None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "there is no view count"),
        ("", "unreadable"),
        ("-5", "negative"),
        ("-1.2K", "negative"),
        ("999B", "more than any video"),
        ("100.000001B", "more than any video"),
        ("9" * 40, "more than any video"),
        ("123456789012345.123456789B", "more than any video"),
        ("many", "unreadable"),
        ("12.3.4", "unreadable"),
        ("1.2.3K", "unreadable"),
        ("12KB", "unreadable"),
        ("K", "unreadable"),
        ("1,23", "unreadable"),
        ("1 234", "unreadable"),
        ("1.2T", "unreadable"),
        ("٣", "unreadable"),
        ("²", "unreadable"),
        ("nan", "no number"),
        ("inf", "no number"),
        ("True", "no number"),
        ("2.11E+07", "rounded"),
        ("3384.5", "no whole number"),
        ("1.2345K", "no whole number"),
        ("541,2K", "ambiguous"),
        ("1,5M", "ambiguous"),
        ("1,234K", "ambiguous"),
        ("1.234.567", "ambiguous"),
        ("12.000", "ambiguous"),
    ],
)
def test_counts_that_cannot_be_taken_at_their_word_are_not_guessed(text, fault):
    count, said = parse(text)
    assert count is None
    assert fault in said


@given(st.integers(0, MAX_VIEWS))
def test_every_whole_count_comes_back_plain_and_grouped(count):
    assert parse(f"{count}") == parse(f"{count:,}") == parse(f"{count}.0") == (count, None)


@given(
    st.integers(0, 999_999),
    st.integers(0, 999),
    st.sampled_from([("K", 3), ("M", 6), ("b", 9), ("万", 4), ("亿", 8)]),
)
def test_a_count_with_a_unit_is_exact(whole, thousandths, unit):
    letter, exponent = unit
    expected = (whole * 1000 + thousandths) * 10 ** (exponent - 3)
    count, fault = parse(f"{whole}.{thousandths:03}{letter}")
    assert (count, fault) == (expected, None) if expected <= MAX_VIEWS else count is None


@given(st.text(max_size=12))
def test_any_text_is_a_count_or_has_a_reason(text):
    count, fault = parse(text)
    assert (count is None) != (fault is None)
    assert count is None or 0 <= count <= MAX_VIEWS


def test_the_index_of_the_texts_is_kept():
    counts = parse_counts(pd.Series(["1", "x"], index=[7, 3], dtype="str"))
    assert counts["count"][7] == 1
    assert "'x'" in counts["fault"][3]
