"""What the modeling pipeline measured about itself, checked before the report speaks of it."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tiktok_virality.models.roles import Regime
from tiktok_virality.pipelines.reporting.json_values import json_ready
from tiktok_virality.schema import DataError

EVERYTHING: Final = "all clips"
"""Group and value of the coverage over a whole split."""

Share = Annotated[float, Field(ge=0, le=1)]
Found = TypeVar("Found")


class Evidence(BaseModel):
    """Base of what is read here; further keys are left alone."""

    model_config = ConfigDict(frozen=True)


class CoverageRow(Evidence):
    """How often intervals of one method and level held the truth, in one part of the test split.

    Attributes:
        seed: Of the models; ``None`` for the mean over the seeds.
        method: How the intervals were made.
        level: Share that should hold the truth.
        group: What parts the clips; `EVERYTHING` leaves them together.
        value: Name of the part.
        n: Clips.
        coverage: Share that did hold it; ``None`` where there was no interval.
        low: Lower end of the interval of the coverage.
        high: Its upper end.
        mean_width: Of the intervals, on the scale of the target.
    """

    seed: int | None
    method: Literal["split", "quantile"]
    level: Share
    group: str
    value: str
    n: int
    coverage: Share | None
    low: Share | None
    high: Share | None
    mean_width: float | None


class Coverage(Evidence):
    """Whether intervals for single clips hold what they promise.

    Attributes:
        method: Of the intervals in the predictions.
        level: Of the same.
        calibration_clips: How many clips the intervals were calibrated on.
        rows: What was measured.
    """

    method: Literal["split", "quantile"]
    level: Share
    calibration_clips: int
    rows: list[CoverageRow]

    def one_per_part(self) -> list[CoverageRow]:
        """Return one row per method, level and part: the mean over seeds, else the first seed."""
        chosen: dict[tuple[str, float, str, str], CoverageRow] = {}
        for row in self.rows:
            part = (row.method, row.level, row.group, row.value)
            if part not in chosen or row.seed is None:
                chosen[part] = row
        return list(chosen.values())


class Flagged(Evidence):
    """How many of some clips were flagged.

    Attributes:
        n: Clips.
        flagged: Share of them; ``None`` where there are none.
        low: Lower end of the interval of that share.
        high: Its upper end.
    """

    n: int
    flagged: Share | None
    low: Share | None
    high: Share | None


class UnlikeClips(Flagged):
    """How clips that were made unlike in one way were told from ordinary ones.

    Attributes:
        alteration: What was done to them.
        auroc: How well the distance tells them apart: 0.5 is not at all.
    """

    alteration: str
    auroc: Share | None


class ErrorOf(Evidence):
    """The ensemble's mean absolute error on some clips; ``None`` where there are none."""

    n: int
    mean_absolute_error: float | None


class ErrorBeside(Evidence):
    """The error on flagged clips and on the others, and whether it grows with the distance."""

    flagged: ErrorOf
    others: ErrorOf
    spearman_of_distance: float | None


class NoveltyEvidence(Evidence):
    """Whether the flag of clips unlike the training data works.

    Attributes:
        alpha: Share of ordinary clips that may be flagged.
        calibration_clips: What a clip's distance is compared with.
        can_flag: Whether there are enough of them for any clip to be flagged.
        false_alarms: Test clips as they are.
        unlike: One row per alteration.
        untried: Modalities of which no altered clips were tried.
        error: Of the ensemble on flagged clips beside the others.
    """

    alpha: Share
    calibration_clips: int
    can_flag: bool
    false_alarms: Flagged
    unlike: list[UnlikeClips]
    untried: list[str]
    error: ErrorBeside


class SplitScore(Evidence):
    """What one model scores under one way of splitting the clips.

    Attributes:
        strategy: How the clips were split.
        model: Which model.
        regime: What it may know.
        seed: Which redrawing of the split.
        n_test: Clips in the test split.
        r2: On it.
        spearman: On it.
        mse: On it.
        skill: 1 - MSE / MSE of the training mean.
    """

    strategy: Literal["random", "group", "chronological", "group_chronological"]
    model: str
    regime: Regime
    seed: int
    n_test: int
    r2: float | None
    spearman: float | None
    mse: float | None
    skill: float | None


def read_coverage(raw: Any) -> Coverage | None:
    """Return the coverage, or ``None`` where none was measured.

    Raises:
        DataError: It is not what was written.
    """
    return _read("coverage", TypeAdapter(Coverage | None), raw)


def read_novelty(raw: Any) -> NoveltyEvidence | None:
    """Return the evidence for the flag, or ``None`` where there is none.

    Raises:
        DataError: It is not what was written.
    """
    return _read("novelty_evidence", TypeAdapter(NoveltyEvidence | None), raw)


def read_split_sensitivity(raw: Any) -> list[SplitScore]:
    """Return the scores by way of splitting; none where they were not measured.

    Raises:
        DataError: They are not what was written.
    """
    return _read("split_sensitivity", TypeAdapter(list[SplitScore]), raw or [])


def _read(name: str, adapter: TypeAdapter[Found], raw: Any) -> Found:
    try:
        return adapter.validate_python(json_ready(raw))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in (name, *fault["loc"]))
        raise DataError(
            f"{where}: {fault['msg']} (found: {fault['input']!r}). The file is broken or of "
            "another version: run the modeling pipeline again, `kedro run --pipeline modeling`."
        ) from None
