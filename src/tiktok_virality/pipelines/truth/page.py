"""The page of the benchmark: every sentence from the numbers, misses as plain as hits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import plotly.graph_objects as go

from tiktok_virality.pipelines.reporting.comparisons import CHALLENGER
from tiktok_virality.pipelines.reporting.page import write_page
from tiktok_virality.pipelines.reporting.wording import label, number, plural, signed_percent
from tiktok_virality.pipelines.truth.checks import (
    COVERAGE_TOLERANCE,
    LEAST_SHARE,
    SHARE_NAME,
    is_near,
)
from tiktok_virality.pipelines.truth.findings import (
    Check,
    LotteryFindings,
    TruthFindings,
    WorldFindings,
)
from tiktok_virality.pipelines.truth.worlds import RULES

TEMPLATE: Final = "truth.html.j2"
HERE: Final = Path(__file__).parent


SHARED_BY_BOTH: Final = ("additive", "interaction")
"""Worlds in which picture and sound both matter: those that the ensemble is made for."""


ALL_HOLD: Final = {1: "its check holds.", 2: "both checks hold."}


@dataclass(frozen=True, kw_only=True)
class CheckRow:
    """A row of the table of checks.

    Attributes:
        world: Where it was looked at.
        first: Whether it is the first of its world.
        check: What was looked at.
    """

    world: str
    first: bool
    check: Check


def render(
    truth: TruthFindings, lottery: LotteryFindings | None, plots: Mapping[str, go.Figure]
) -> str:
    """Return the page; of the fixed worlds alone where the lottery was not played."""
    return write_page(
        TEMPLATE,
        plots,
        folder=HERE,
        headline=headline(truth),
        lottery=lottery,
        drawn=None if lottery is None else of_drawn_worlds(lottery),
        sentences={each.world: sentence(each) for each in truth.worlds},
        truth=truth,
        rules=RULES,
        rows=_rows(truth),
        ours=CHALLENGER,
        least_share=LEAST_SHARE,
        tolerance=COVERAGE_TOLERANCE,
        levels=[row.level for row in truth.coverage],
        is_near=is_near,
        signed=signed_percent,
    )


def of_drawn_worlds(lottery: LotteryFindings) -> str:
    """Return what the ensemble finds in the drawn worlds, beside the best of what it must beat."""
    ours = lottery.model(CHALLENGER)
    rivals = [each for each in lottery.models if each.role in ("baseline", "modality")]
    best = max(rivals, key=lambda each: each.mean)
    better = "more than" if best.gain_low > 0 else "not clearly more than"
    return (
        f"In {plural(len(lottery.worlds), 'world')} whose rules were drawn, the ensemble finds "
        f"{signed_percent(ours.mean)} ({signed_percent(ours.low)} to {signed_percent(ours.high)}) "
        f"of the reachable R² on average: {better} {label(best.model)}, with "
        f"{signed_percent(best.mean)} (paired difference {signed_percent(best.gain_low)} to "
        f"{signed_percent(best.gain_high)})."
    )


def headline(truth: TruthFindings) -> str:
    """Return how many checks hold, and where the ensemble finds how much of what can be found."""
    checks = [check for each in truth.worlds for check in each.checks] + list(truth.checks)
    passed = sum(check.passed for check in checks)
    said = f"{passed} of {plural(len(checks), 'check')} of the truth benchmark hold"
    shares = [
        f"{signed_percent(ours.share)} in the world “{each.world}”"
        for each in truth.worlds
        if (ours := each.score(CHALLENGER)).share is not None and each.world in SHARED_BY_BOTH
    ]
    if shares:
        said += f"; of what can be found, the ensemble finds {' and '.join(shares)}"
    return f"{said}."


def sentence(findings: WorldFindings) -> str:
    """Return what came of a world: its checks, and what the ensemble reached."""
    failed = [check for check in findings.checks if not check.passed]
    count = len(findings.checks)
    if failed:
        names = "; ".join(_named(check) for check in failed)
        checks = f"{count - len(failed)} of {plural(count, 'check')} hold. Not so: {names}."
    else:
        checks = ALL_HOLD.get(count, f"all {count} checks hold.")
    return f"{checks} {_reached(findings)}"


def _named(check: Check) -> str:
    said = f"{check.name[0].lower()}{check.name[1:]}"
    return said if check.name == SHARE_NAME else f"{said} ({check.measured})"


def _reached(findings: WorldFindings) -> str:
    ours = findings.score(CHALLENGER)
    said = f"The ensemble reaches an R² of {number(ours.r2)}"
    if ours.r2_low is not None:
        said += f" ({number(ours.r2_low)} to {number(ours.r2_high)})"
    if ours.share is None or ours.share_mean is None:
        return f"{said} where {number(ours.reachable)} is reachable."
    said += f" of the reachable {number(ours.reachable)}: {signed_percent(ours.share)}"
    if ours.seeds > 1:
        said += f", {signed_percent(ours.share_mean)} on average over {ours.seeds} seeds"
    return f"{said}."


def _rows(truth: TruthFindings) -> Sequence[CheckRow]:
    found = [(each.world, each.checks) for each in truth.worlds]
    return [
        CheckRow(world=world, first=index == 0, check=check)
        for world, checks in (*found, ("all worlds", truth.checks))
        for index, check in enumerate(checks)
    ]
