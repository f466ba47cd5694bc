from __future__ import annotations

import pytest

from tiktok_virality.pipelines.ingestion.post_ids import is_rounded, is_rounding_of

WHOLE = "7301234567890123456"


@pytest.mark.parametrize("text", ["7.30123E+18", "7e18", "7301234567890120000", WHOLE[:16] + "000"])
def test_what_a_spreadsheet_or_a_float_leaves_is_a_rounded_id(text):
    assert is_rounded(text)
    assert is_rounding_of(text, WHOLE)


@pytest.mark.parametrize("text", [WHOLE, "7301234567890123459", "71000", "clip one", "0" * 19])
def test_an_id_that_is_no_rounding_stays(text):
    assert not is_rounded(text)


@pytest.mark.parametrize(
    ("text", "rounding"),
    [
        (str(int(float(WHOLE))), True),
        ("7301234567890000000", False),
        ("7311234567890120000", False),
        ("7301234567890199999", False),
        (WHOLE, False),
        ("clip", False),
    ],
)
def test_only_what_rounding_explains_is_taken_from_the_address(text, rounding):
    assert is_rounding_of(text, WHOLE) is rounding
