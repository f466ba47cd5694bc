"""What must hold in each world, each with what was expected and what was measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from tiktok_virality.demo.senses import PICTURE, SOUND, sense_of
from tiktok_virality.pipelines.reporting.comparisons import CHALLENGER
from tiktok_virality.pipelines.reporting.wording import (
    label,
    number,
    percent,
    plural,
    signed_percent,
)
from tiktok_virality.pipelines.truth.findings import (
    Check,
    Covered,
    Gain,
    Leak,
    ModelScore,
    WorldFindings,
)
from tiktok_virality.schema import DataError

LEAST_SHARE: Final = 0.85
"""Of the reachable R² that the ensemble must find where picture and sound both matter."""

NEXT_TO_NOTHING: Final = 0.1
"""An R² below this is no success of a model that has nothing to find."""

COVERAGE_TOLERANCE: Final = 0.03

LEAST_LEAK: Final = 2
"""Standard deviations of the difference between two redrawings that a visible leak exceeds."""

SHARE_NAME: Final = "The ensemble finds what can be found"

ALONE: Final = (PICTURE, SOUND)
"""Senses of models that see or hear, not both."""


def checks_of(findings: WorldFindings) -> tuple[Check, ...]:
    """Return the checks of a world.

    Args:
        findings: Of the world; its checks are not asked.
    """
    return tuple(check(findings) for check in CHECKS.get(findings.world, ()))


def share_is_reached(findings: WorldFindings) -> Check:
    """The ensemble finds what can be found."""
    ours = findings.score(CHALLENGER)
    if ours.share is None or ours.share_mean is None or ours.reachable is None:
        raise DataError(
            f"Next to nothing is reachable in the world {findings.world!r}: its clips are too few, "
            "or not those that were planted. Run the benchmark again: `kedro run --env truth`."
        )
    return Check(
        name=SHARE_NAME,
        expected=f"at least {percent(LEAST_SHARE)} of the reachable R², with the main seed and on "
        "average over the seeds",
        measured=f"{signed_percent(ours.share)} with the main seed, "
        f"{signed_percent(ours.share_mean)} on average over {plural(ours.seeds, 'seed')} "
        f"(R² {number(ours.r2)} of {number(ours.reachable)})",
        passed=min(ours.share, ours.share_mean) >= LEAST_SHARE,
    )


def all_are_beaten(findings: WorldFindings) -> Check:
    """The ensemble errs less than everything that knows the same or less."""
    beaten = [gain for gain in findings.gains if gain.low is not None and gain.low > 0]
    failing = [gain for gain in findings.gains if gain not in beaten]
    measured = f"{len(beaten)} of {plural(len(findings.gains), 'model')}"
    if findings.gains:
        measured += f"; the least gain is on {_gain(findings.gains[0])}"
    return Check(
        name="The ensemble beats each modality and every baseline",
        expected="the interval of the paired difference in MSE lies above zero for all of them",
        measured=measured,
        passed=bool(findings.gains) and not failing,
        failing=tuple(gain.reference for gain in failing),
    )


def modalities_alone_stay_low(findings: WorldFindings) -> Check:
    """Neither picture nor sound alone explains a product of the two."""
    return _stay_low(findings, ALONE, "Picture or sound alone stays near its own low ceiling")


def sound_finds_nothing(findings: WorldFindings) -> Check:
    """What is said does not move these views."""
    return _stay_low(findings, (SOUND,), "Sound alone finds nothing")


def pictures_find_nothing(findings: WorldFindings) -> Check:
    """What is seen does not move these views."""
    return _stay_low(findings, (PICTURE,), "The picture alone finds nothing")


def no_skill_beyond_chance(findings: WorldFindings) -> Check:
    """Where there is nothing to find, nothing is found."""
    models = [s for s in findings.scores if s.role not in ("planted", "constant")]
    failing = [s for s in models if s.skill_mean_low is not None and s.skill_mean_low > 0]
    best = max(failing or models, key=lambda score: score.skill_mean)
    return Check(
        name="Nobody has skill where there is nothing to find",
        expected="no model's interval of skill over the training mean lies above zero",
        measured=f"{len(failing)} of {plural(len(models), 'model')} do; the most skill is "
        f"{_with_interval(best, 'skill_mean')}, {label(best.model)}",
        passed=not failing,
        failing=tuple(score.model for score in failing),
    )


def content_finds_no_creator(findings: WorldFindings) -> Check:
    """Who only knows the clip cannot know what a new creator is worth."""
    models = [score for score in findings.scores if score.regime == "content"]
    failing = [score for score in models if score.r2 >= NEXT_TO_NOTHING]
    best = max(models, key=lambda score: score.r2)
    return Check(
        name="Content tells nothing of new creators",
        expected=f"R² below {number(NEXT_TO_NOTHING, 1)} for every model that knows only the clip",
        measured=f"the most is {_with_interval(best, 'r2')}, {label(best.model)}",
        passed=not failing,
        failing=tuple(score.model for score in failing),
    )


def random_split_leaks(findings: WorldFindings) -> Check:
    """A model looks better where creators stand on both sides: the leak, shown.

    It is asked of the content model that a random split flatters most. Others may be unable to
    learn creators by heart, which is no fault of theirs; all of them are told.
    """
    leaks = [leak for leak in findings.leaks if leak.regime == "content"]
    measured = [leak for leak in leaks if leak.random and leak.group]
    measured.sort(key=_mean_difference, reverse=True)
    passed = bool(measured) and _leaks_visibly(measured[0])
    return Check(
        name="A random split shows the leak",
        expected="R² of the content model that gains most is higher under a random split than "
        "under one by creator, by more than twice the standard deviation of such a difference "
        "over redrawings",
        measured="; ".join(_difference(leak) for leak in measured) or "not measured",
        passed=passed,
        failing=() if passed else tuple(leak.model for leak in measured[:1]),
    )


def coverage_holds(coverage: Sequence[Covered]) -> Check:
    """Intervals hold as much as they promise, on average over worlds.

    A single world is not asked: its clips by a hundred creators leave about two points to chance.
    """
    failing = [row for row in coverage if not is_near(row)]
    said = [f"{percent(row.level)}: {_held(row)}" for row in coverage]
    return Check(
        name="Intervals of single clips",
        expected="hold the truth as often as they promise, give or take "
        f"{round(100 * COVERAGE_TOLERANCE)} points, on average over worlds",
        measured=", ".join(said) or "not measured",
        passed=bool(coverage) and not failing,
        failing=tuple(percent(row.level) for row in failing),
    )


def is_near(row: Covered) -> bool:
    """Return whether intervals hold as much as they promise, within `COVERAGE_TOLERANCE`."""
    return row.coverage is not None and (
        abs(row.coverage - row.level) <= COVERAGE_TOLERANCE + math.ulp(1.0)
    )


CHECKS: Final[Mapping[str, Sequence[Callable[[WorldFindings], Check]]]] = {
    "visual": (sound_finds_nothing,),
    "spoken": (pictures_find_nothing,),
    "additive": (share_is_reached, all_are_beaten),
    "interaction": (share_is_reached, all_are_beaten, modalities_alone_stay_low),
    "creator": (content_finds_no_creator, random_split_leaks),
    "noise": (no_skill_beyond_chance,),
}
"""By world; coverage is checked over all of them together."""


def _stay_low(findings: WorldFindings, senses: Sequence[str], name: str) -> Check:
    models = [
        score
        for score in findings.scores
        if score.regime == "content" and sense_of(score.modality) in senses
    ]
    failing = [score for score in models if not _is_low(score)]
    best = max(models, key=lambda score: score.r2)
    return Check(
        name=name,
        expected=f"R² below {number(NEXT_TO_NOTHING, 1)}, or an interval that holds zero",
        measured=f"the most is {_with_interval(best, 'r2')}, {label(best.model)}, "
        f"of {number(best.reachable)} reachable",
        passed=not failing,
        failing=tuple(score.model for score in failing),
    )


def _is_low(score: ModelScore) -> bool:
    holds_zero = score.r2_low is not None and score.r2_low <= 0
    return score.r2 < NEXT_TO_NOTHING or holds_zero


def _leaks_visibly(leak: Leak) -> bool:
    return _mean_difference(leak) > LEAST_LEAK * _deviation(leak)


def _mean_difference(leak: Leak) -> float:
    return statistics.fmean(leak.random) - statistics.fmean(leak.group)


def _deviation(leak: Leak) -> float:
    """Return the standard deviation of the difference between two redrawings."""
    return math.sqrt(sum(_variances(leak)))


def _variances(leak: Leak) -> Iterator[float]:
    for values in (leak.random, leak.group):
        yield statistics.variance(values) if len(values) > 1 else 0.0


def _difference(leak: Leak) -> str:
    return (
        f"{label(leak.model)}: {number(statistics.fmean(leak.random))} at random, "
        f"{number(statistics.fmean(leak.group))} by creator, {number(_mean_difference(leak))} more "
        f"(standard deviation {number(_deviation(leak))}, {plural(len(leak.random), 'redrawing')})"
    )


def _gain(gain: Gain) -> str:
    return f"{label(gain.reference)}: {number(gain.gain)} {_ends(gain.low, gain.high)}"


def _with_interval(score: ModelScore, metric: str) -> str:
    low, high = getattr(score, f"{metric}_low"), getattr(score, f"{metric}_high")
    return f"{number(getattr(score, metric))} {_ends(low, high)}"


def _ends(low: float | None, high: float | None) -> str:
    return "(no interval)" if low is None else f"({number(low)} to {number(high)})"


def _held(row: Covered) -> str:
    if row.coverage is None:
        return "no intervals"
    said = f"{100 * row.coverage:.1f}%"
    if row.low is None or row.high is None:
        return said
    return f"{said} ({100 * row.low:.1f} to {100 * row.high:.1f})"
