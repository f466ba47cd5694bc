"""The page says what the numbers say: hits and misses, in words, tables and figures."""

from __future__ import annotations

import pytest

from tests.truth.conftest import drawn_worlds, findings
from tiktok_virality.pipelines.truth.figures import leak_plot, reached_plot
from tiktok_virality.pipelines.truth.findings import (
    Leak,
    LotteryFindings,
    TruthFindings,
    WorldFindings,
    read_findings,
)
from tiktok_virality.pipelines.truth.lottery import plot_factors, plot_lottery
from tiktok_virality.pipelines.truth.nodes import (
    plot_leak,
    plot_reached,
    summarise_truth,
    write_truth_page,
)
from tiktok_virality.pipelines.truth.page import headline, of_drawn_worlds, sentence
from tiktok_virality.schema import DataError

MINUS = "\N{MINUS SIGN}"
REDRAWN = Leak(model="ridge", regime="content", random=(0.3, 0.32), group=(0.0, 0.02))


@pytest.fixture
def creator() -> WorldFindings:
    return findings(
        "creator",
        {"mlp": 0.15, "ensemble": -0.03},
        planted={"planted_both": -0.01},
        leaks=(REDRAWN,),
        coverage=(0.5, 0.7, 0.9),
    )


def write(truth: dict) -> str:
    drawn = drawn_worlds()
    plots = (plot_reached(truth), plot_leak(truth), plot_lottery(drawn), plot_factors(drawn))
    return write_truth_page(truth, drawn, *plots)


def test_a_page_of_one_world_does_without_the_lottery(truth):
    plots = (plot_reached(truth), plot_leak(truth), plot_lottery(None), plot_factors(None))
    page = write_truth_page(truth, None, *plots)
    assert "The drawn worlds were not played yet" in page
    assert 'id="lottery"' not in page and 'id="reached"' in page


@pytest.fixture
def truth(additive, creator) -> dict:
    worlds = {each.world: each.model_dump(mode="json") for each in (additive, creator)}
    return summarise_truth(**worlds, noise=None)


def test_worlds_are_brought_together_and_missing_ones_named(truth, additive, creator):
    together = read_findings(TruthFindings, truth, "truth")
    assert together.worlds == (additive, creator)
    assert together.missing == ("noise",)
    assert [row.coverage for row in together.coverage] == pytest.approx([0.5, 0.75, 0.9])
    assert together.checks[0].failing == ("80%",)


def test_the_headline_counts_checks_and_says_the_share(truth):
    said = headline(read_findings(TruthFindings, truth, "truth"))
    assert said == (
        "3 of 5 checks of the truth benchmark hold; of what can be found, the ensemble finds 95% "
        "in the world “additive”."
    )


def test_a_world_that_passes_says_what_was_reached(additive):
    assert sentence(additive) == (
        "both checks hold. The ensemble reaches an R² of 0.76 (0.66 to 0.86) of the reachable "
        "0.80: 95%, 92% on average over 3 seeds."
    )


def test_a_world_that_fails_says_where_and_by_how_much(creator):
    said = sentence(creator)
    assert said.startswith("1 of 2 checks hold. Not so: content tells nothing of new creators (")
    assert "0.15 (0.05 to 0.25), small neural network" in said
    assert f"an R² of {MINUS}0.03" in said
    assert said.endswith(f"where {MINUS}0.01 is reachable.")


def test_the_page_holds_every_world_check_and_model(truth):
    html = write(truth)
    assert "Not run yet: noise." in html
    for world in truth["worlds"]:
        for check in world["checks"]:
            assert check["name"] in html
        assert f"<summary>{world['world'].capitalize()}" in html
    assert html.count('<b class="missed">no</b>') == 2
    assert html.count('<b class="holds">yes</b>') == 3
    assert "gradient boosting, true factors" in html
    assert "70.0%" in html
    assert "http" not in html.split("<script>")[0].replace("http-equiv", "")


def test_every_model_has_a_mark_and_every_modality_a_line_at_what_is_reachable(additive):
    figure = reached_plot([additive])
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [trace.x[0] for trace in lines] == [0.4, 0.4, 0.8]
    [marks] = [trace for trace in figure.data if trace.mode == "markers"]
    drawn = dict(zip([name for name, _ in marks.customdata], marks.x, strict=True))
    assert drawn["ensemble"] == 0.76
    assert drawn["gradient boosting, true factors"] == 0.7
    assert "all that both tell" not in drawn
    assert len(drawn) == 18


def test_a_model_far_below_zero_stands_at_the_edge():
    [_, _, _, marks] = reached_plot([findings("noise", {"mlp": -3.0})]).data
    assert min(marks.x) == -0.5


def test_the_leak_has_a_dot_per_redrawing_and_one_for_the_mean(additive, creator):
    figure = leak_plot([additive, creator])
    at_random = [trace for trace in figure.data if trace.legendgroup == "random"]
    assert [list(trace.x) for trace in at_random] == [[0.3, 0.32], [pytest.approx(0.31)]]
    assert {trace.y[0] for trace in at_random} == {0.15 - 1}


def test_without_a_study_of_splits_the_figure_is_empty(additive):
    assert not leak_plot([additive]).data


def test_broken_findings_are_named():
    with pytest.raises(DataError, match=r"truth\.worlds: Field required"):
        read_findings(TruthFindings, {"missing": [], "coverage": []}, "truth")


def test_what_is_found_in_drawn_worlds_is_said_beside_the_best_rival():
    said = of_drawn_worlds(LotteryFindings.model_validate(drawn_worlds()))
    assert said.startswith(
        "In 2 worlds whose rules were drawn, the ensemble finds 60% (50% to 70%)"
    )
    assert "more than ridge, everything, with 50%" in said


def test_every_drawn_world_is_a_dot_and_a_far_one_stands_at_the_edge():
    figure = plot_lottery(drawn_worlds())
    dots = [trace for trace in figure.data if len(trace.x) == 2]
    assert [list(trace.x) for trace in dots] == [[0.7, 0.5], [0.6, 0.4], [0.2, -0.5]]
    assert "pitch (hump, 35 %)" in dots[0].text[0]


def test_the_page_shows_models_and_factors_of_the_lottery(truth):
    html = write(truth)
    assert "Worlds that nobody tuned for" in html
    assert "camera zoom" in html
    assert "costs the ensemble 0.010 of R²" in html
