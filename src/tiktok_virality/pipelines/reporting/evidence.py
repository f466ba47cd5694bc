"""What the modeling pipeline measured about itself, checked before the report speaks of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tiktok_virality.models.roles import Regime
from tiktok_virality.schema import DataError

Share = Annotated[float, Field(ge=0, le=1)]
Found = TypeVar("Found")


class Evidence(BaseModel):
    """Base of what is read here; further keys are left alone."""

    model_config = ConfigDict(frozen=True)


class CoverageRow(Evidence):
    """How often intervals of one method and level held the truth, in one part of the test split.

    Attributes:
        method: How the intervals were made.
        level: Share that should hold the truth.
        group: What parts the clips: ``all`` leaves them together.
        value: Name of the part.
        seed: Of the models; ``mean`` for the mean over the seeds.
        n: Clips.
        coverage: Share that did hold it; ``None`` where there was no interval.
        low: Lower end of the interval of the coverage.
        high: Its upper end.
        width: Mean width of the intervals, on the scale of the target.
    """

    method: Literal["cqr", "split"]
    level: Share
    group: Literal["all", "creator", "duration", "modality"]
    value: str
    seed: int | Literal["mean"]
    n: int
    coverage: Share | None
    low: Share | None = None
    high: Share | None = None
    width: float | None = None


class Coverage(Evidence):
    """Whether intervals for single clips hold what they promise.

    Attributes:
        method: Of the intervals in the predictions.
        level_in_predictions: Their level.
        rows: What was measured.
    """

    method: Literal["cqr", "split"]
    level_in_predictions: Share
    rows: list[CoverageRow]

    def one_per_part(self) -> list[CoverageRow]:
        """Return one row per method, level and part: the mean over seeds, else the first seed."""
        chosen: dict[tuple[Any, ...], CoverageRow] = {}
        for row in self.rows:
            part = (row.method, row.level, row.group, row.value)
            if part not in chosen or (row.seed == "mean" and chosen[part].seed != "mean"):
                chosen[part] = row
        return list(chosen.values())


class FalseAlarms(Evidence):
    """How many ordinary test clips were flagged."""

    rate: Share | None
    n: int


class UnlikeClips(Evidence):
    """How clips of one unlike kind were told from ordinary ones.

    Attributes:
        kind: What was done to them.
        n: Clips.
        detected: Share that was flagged.
        auroc: How well the distance tells them apart: 0.5 is not at all.
    """

    kind: str
    n: int
    detected: Share | None
    auroc: Share | None


class ErrorOf(Evidence):
    """The ensemble's mean squared error on some clips; ``None`` where there are none."""

    n: int
    mse: float | None


class ErrorBeside(Evidence):
    """The error on flagged clips and on the others."""

    flagged: ErrorOf
    others: ErrorOf


class NoveltyEvidence(Evidence):
    """Whether the flag of clips unlike the training data works.

    Attributes:
        alpha: Share of ordinary clips that may be flagged.
        false_alarms: How many were.
        rows: One per unlike kind.
        error: Of the ensemble on flagged clips beside the others.
    """

    alpha: Share
    false_alarms: FalseAlarms
    rows: list[UnlikeClips]
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
        return adapter.validate_python(raw)
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in (name, *fault["loc"]))
        raise DataError(
            f"{where}: {fault['msg']} (found: {fault['input']!r}). The file is broken or of "
            "another version: run the modeling pipeline again, `kedro run --pipeline modeling`."
        ) from None
