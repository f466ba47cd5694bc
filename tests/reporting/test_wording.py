"""Numbers as people read them."""

from __future__ import annotations

import pytest

from tiktok_virality.pipelines.reporting import wording
from tiktok_virality.pipelines.reporting.scale import ViewScale


@pytest.mark.parametrize(
    ("views", "written"),
    [
        (-0.4, "0"),
        (87, "87"),
        (999.4, "999"),
        (999.6, "1K"),
        (3384, "3.38K"),
        (541_200, "541K"),
        (999_600, "1M"),
        (21_100_000, "21.1M"),
        (1.5e12, "1500B"),
    ],
)
def test_counts_have_three_digits(views, written):
    assert wording.count(views) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "\N{EN DASH}"), (-0.0001, "0.00"), (-1.5, "\N{MINUS SIGN}1.50"), (1234.5, "1,234.50")],
)
def test_numbers_have_a_real_minus_and_none_is_a_dash(value, written):
    assert wording.number(value) == written


@pytest.mark.parametrize(
    ("share", "written"), [(0.95, "95%"), (-0.274, "27%"), (0.034, "3.4%"), (0, "0%")]
)
def test_shares_are_percent(share, written):
    assert wording.percent(share) == written


@pytest.mark.parametrize(
    ("seconds", "written"), [(48, "48 s"), (576, "9 min 36 s"), (11_520, "3 h 12 min")]
)
def test_durations_are_said_as_people_say_them(seconds, written):
    assert wording.clock(seconds) == written


def test_a_line_of_views_holds_every_count_between_whole_decades():
    scale = ViewScale.around([820, 94_000, 45_000])
    assert (scale.low, scale.high) == (100, 100_000)
    assert scale.decades == [100, 1000, 10_000, 100_000]
    assert [scale.position(views) for views in (100, 1000, 100_000)] == [0, 33.33, 100]


@pytest.mark.parametrize("views", [[], [0.0], [-0.3, 0.5], [10.0]])
def test_a_line_of_few_or_no_views_still_has_a_length(views):
    scale = ViewScale.around(views)
    assert scale.high > scale.low >= 1
