"""The report: one page of HTML that needs nothing but itself, every sentence from the numbers."""

from __future__ import annotations

import math
import platform
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
import plotly.graph_objects as go
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from plotly.offline import get_plotlyjs
from pydantic import BaseModel

from tiktok_virality.demo.senses import sense_of
from tiktok_virality.evaluation.intervals import LEAST_CLUSTERS
from tiktok_virality.pipelines.reporting import palette, pictures, plots, wording
from tiktok_virality.pipelines.reporting.evidence import (
    EVERYTHING,
    Coverage,
    CoverageRow,
    NoveltyEvidence,
    SplitScore,
)
from tiktok_virality.pipelines.reporting.sample import HeldOutClip, SampledClip
from tiktok_virality.pipelines.reporting.scale import ViewScale
from tiktok_virality.pipelines.reporting.tables import (
    CLASS_COLUMNS,
    Column,
    Row,
    further_columns,
    main_rows,
    regime_tables,
    score_columns,
)
from tiktok_virality.pipelines.reporting.target_words import TargetWords
from tiktok_virality.pipelines.reporting.verdict import CONSTANT
from tiktok_virality.schema import SPLITS
from tiktok_virality.tracking.child_runs import flatten

HERE: Final = Path(__file__).parent
TEMPLATE: Final = "report.html.j2"
MOST_LISTED: Final = 2000
"""Held-out clips in the table of clips; a browser scrolls so many."""

PACKAGES: Final = (
    *("tiktok_virality", "kedro", "torch", "lightning", "openai-whisper", "av"),
    *("scikit-learn", "numpy", "pandas", "mlflow"),
)


@dataclass(frozen=True, kw_only=True)
class Results:
    """What the report is made of.

    Attributes:
        verdict: Of `compare_models`.
        leaderboard: Its rows.
        comparisons: Of `compare_models`.
        corpus: Of `summarise_corpus`.
        training: Of `summarise_training`.
        clips: The sampled clips.
        tested: All held-out clips, the worst mistakes first.
        explained: Ids of those that the page of clips explains.
        reconstructions: Held-out originals and what the autoencoder made of them; ``None`` where
            there is none.
        coverage: Of intervals for single clips; ``None`` where it was not measured.
        novelty: Evidence for the flag of unlike clips; ``None`` where there is none.
        split_scores: By way of splitting; empty where it was not measured.
        plots: Those of the pipeline, by name.
        words: Of the target.
        parameters: Of the run.
    """

    verdict: Mapping[str, Any]
    leaderboard: Sequence[Row]
    comparisons: Sequence[Row]
    corpus: Mapping[str, Any]
    training: Mapping[str, Any]
    clips: Sequence[SampledClip]
    tested: Sequence[HeldOutClip]
    explained: Collection[str]
    reconstructions: Mapping[str, Any] | None
    coverage: Coverage | None
    novelty: NoveltyEvidence | None
    split_scores: Sequence[SplitScore]
    plots: Mapping[str, go.Figure]
    words: TargetWords
    parameters: Mapping[str, Any]


def render(results: Results) -> str:
    """Return the page."""
    verdict = results.verdict
    test = main_rows(results.leaderboard, "test")
    overview = plots.overview_plot(test, verdict["model"], verdict["baseline"])
    return write_page(
        TEMPLATE,
        {**results.plots, "overview": overview},
        verdict=verdict,
        corpus=results.corpus,
        crossing=_splits_share_creators(results.corpus),
        folds=0 if "test" in results.corpus["splits"] else len(results.corpus["splits"]),
        least_creators=LEAST_CLUSTERS,
        few_creators=verdict["creators"] < LEAST_CLUSTERS,
        constant=next(row for row in test if row["model"] == CONSTANT),
        single=next((row for row in test if row["role"] == "modality"), None),
        pairs_in_order=_pairs_in_order(results),
        one_clip=_one_clip(results.coverage),
        ceiling=_ceiling(results),
        headline=next(row for row in test if row["model"] == verdict["model"]),
        baseline=next(row for row in test if row["model"] == verdict["baseline"]),
        tables={split: regime_tables(results.leaderboard, split) for split in SPLITS},
        columns=_columns(results.words),
        comparisons=_of_one_seed(results.comparisons),
        coverage=results.coverage,
        covered=_covered(results.coverage),
        novelty=results.novelty,
        split_tables=_split_tables(results.split_scores),
        words=results.words,
        courses={name: _course(model) for name, model in results.training.items()},
        spans=_spans(results),
        strips=_strips(results.reconstructions) if results.reconstructions else [],
        clips=_cards(results),
        tested=results.tested[:MOST_LISTED],
        explained=results.explained,
        scale=_scale(results),
        seed=results.parameters["seed"],
        parameters=flatten(_plain(results.parameters)),
        versions=_versions(),
    )


def write_page(
    template: str, plots: Mapping[str, go.Figure], *, folder: Path = HERE, **context: Any
) -> str:
    """Fill a template that extends ``base.html.j2``, and give it all that a page needs.

    Args:
        template: Its name.
        plots: The figures that it draws, by name.
        folder: Where it lies, if not in this one, which holds what it extends and imports.
        **context: What else it speaks of.

    Raises:
        jinja2.UndefinedError: The template needs something that is not there.
    """
    return (
        _environment(folder)
        .get_template(template)
        .render(
            plots={name: _plot_json(figure) for name, figure in plots.items()},
            written_at=datetime.now(UTC),
            plotly_js=get_plotlyjs(),
            stylesheet=(HERE / "report.css").read_text("utf-8"),
            **context,
        )
    )


def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "label": wording.label,
        "count": wording.count,
        "number": wording.number,
        "percent": wording.percent,
        "found": _found,
        "clock": wording.clock,
        "probability": wording.probability,
        "colour": palette.colour,
        "sees": lambda modality: wording.SEES.get(modality, modality),
        "role": wording.ROLES.__getitem__,
        "method": wording.METHODS.__getitem__,
        "strategy": wording.STRATEGIES.__getitem__,
        "factor": lambda mae: f"\N{MULTIPLICATION SIGN}{wording.number(math.exp(mae), 1)}",
    }
    environment.globals |= {"plural": wording.plural, "part_name": wording.part_name}
    return environment


def _found(skill: float | None) -> str:
    """Say what a model finds: ``31%``, or ``nothing`` for no skill."""
    return "nothing" if skill is None or skill <= 0 else wording.percent(skill)


def _splits_share_creators(corpus: Mapping[str, Any]) -> bool:
    by_split = sum(part["creators"] for part in corpus["splits"].values())
    return bool(by_split > corpus["all"]["creators"])


def _columns(words: TargetWords) -> dict[str, Sequence[Column]]:
    views = words.target.has_views
    return {
        "scores": score_columns(counts=words.counts, views=views),
        "further": further_columns(views=views),
        "classes": CLASS_COLUMNS,
    }


def _of_one_seed(comparisons: Sequence[Row]) -> list[Row]:
    """Return the comparisons of the main seed, which come first, the hardest to beat first."""
    mine = [row for row in comparisons if row["seed"] == comparisons[0]["seed"]]
    return sorted(mine, key=lambda row: row["mse_gain"])


def _covered(coverage: Coverage | None) -> dict[str, Any]:
    """Return what was measured over all clips, and of the method in use in parts."""
    if coverage is None:
        return {"overall": [], "parts": []}
    rows = coverage.one_per_part()
    return {
        "overall": [row for row in rows if row.group == EVERYTHING],
        "parts": [r for r in rows if r.group != EVERYTHING and r.method == coverage.method],
    }


def _split_tables(scores: Sequence[SplitScore]) -> dict[str, list[dict[str, Any]]]:
    """Return mean and deviation over redrawings by model and strategy, a table per regime."""
    groups: dict[tuple[str, str, str], list[SplitScore]] = {}
    for score in scores:
        groups.setdefault((score.regime, score.model, score.strategy), []).append(score)
    tables: dict[str, list[dict[str, Any]]] = {}
    for regime in wording.REGIMES:
        rows = [
            {
                "model": model,
                "strategy": strategy,
                "redraws": len(group),
                "n_test": statistics.fmean(score.n_test for score in group),
                **_mean_and_deviation(group, "r2"),
                **_mean_and_deviation(group, "spearman"),
                **_mean_and_deviation(group, "skill"),
            }
            for (found, model, strategy), group in groups.items()
            if found == regime
        ]
        if rows:
            order = list(wording.STRATEGIES)
            tables[wording.REGIMES[regime]] = sorted(
                rows, key=lambda row: (row["model"], order.index(row["strategy"]))
            )
    return tables


def _mean_and_deviation(scores: Sequence[SplitScore], metric: str) -> dict[str, float | None]:
    values = [value for score in scores if (value := getattr(score, metric)) is not None]
    return {
        metric: statistics.fmean(values) if values else None,
        f"{metric}_seed_sd": statistics.stdev(values) if len(values) > 1 else None,
    }


def _ceiling(results: Results) -> list[dict[str, Any]]:
    """Return, for a synthetic corpus, what was reachable beside the best that was reached."""
    if results.corpus["synthetic"] is None:
        return []
    rows = []
    for sense, reachable in results.corpus["synthetic"]["reachable_r2"].items():
        trained = [
            row
            for row in main_rows(results.leaderboard, "test")
            if sense_of(row["modality"]) == sense and row["role"] in ("modality", "ensemble")
        ]
        if trained:
            rows.append({"sense": sense, **reachable, "reached": trained[0]})
    return rows


def _course(model: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a training went: first and best validation loss, and when."""
    history = model["history"]
    best = min(history, key=lambda row: row["validation_loss"])
    return {
        "parameter_count": model["parameter_count"],
        "epochs": len(history),
        "seconds": sum(row["seconds"] for row in history),
        "first": history[0]["validation_loss"],
        "best": best["validation_loss"],
        "best_epoch": int(best["epoch"]) + 1,
        "train_at_best": best["train_loss"],
    }


def _spans(results: Results) -> dict[str, float]:
    """Return the least and the greatest count that is true and that the ensemble predicts."""
    drawn = {trace.name: trace for trace in results.plots["actual_vs_predicted"].data}
    points = drawn[wording.label(results.verdict["model"])]
    ends = {"true": np.asarray(points.x), "predicted": np.asarray(points.y)}
    return {
        f"{name}_{end}": results.words.natural(value)
        for name, values in ends.items()
        for end, value in (("low", values.min()), ("high", values.max()))
    }


def _pairs_in_order(results: Results) -> float | None:
    """Return the share of pairs of clips that the ensemble puts in order; `None` for classes.

    It is half of one more than Kendall's tau (Kendall, 1938, "A New Measure of Rank Correlation").
    """
    from scipy import stats

    drawn = {trace.name: trace for trace in results.plots["actual_vs_predicted"].data}
    points = drawn[wording.label(results.verdict["model"])]
    tau = float(stats.kendalltau(points.x, points.y).statistic)
    return None if math.isnan(tau) or not results.words.counts else (1 + tau) / 2


def _one_clip(coverage: Coverage | None) -> CoverageRow | None:
    """Return what was measured of the intervals that predictions have, over all clips."""
    if coverage is None:
        return None
    chosen = (EVERYTHING, coverage.method, coverage.level)
    rows = (r for r in coverage.one_per_part() if (r.group, r.method, r.level) == chosen)
    return next((row for row in rows if row.mean_width is not None), None)


def _strips(reconstructions: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "video_id": strip.video_id,
            "original": pictures.data_uri(strip.original, "png"),
            "reconstruction": pictures.data_uri(strip.reconstruction, "png"),
            "error": strip.error,
        }
        for strip in pictures.film_strips(reconstructions)
    ]


def _cards(results: Results) -> list[dict[str, Any]]:
    return [
        {
            "video_id": clip.video_id,
            "seconds": clip.duration_seconds,
            "thumbnail": None
            if clip.thumbnail is None
            else pictures.data_uri(clip.thumbnail.transpose(1, 2, 0), "jpeg"),
            "says_something": bool((clip.transcript or "").strip()),
            "transcript": pictures.spoken(clip),
            "actual": clip.actual,
            "predicted": clip.predicted,
            "likely": clip.likely,
        }
        for clip in results.clips
    ]


def _scale(results: Results) -> ViewScale | None:
    """Return the line that the cards draw; classes have none."""
    if not results.words.counts:
        return None
    return ViewScale.around(
        [
            value
            for clip in results.clips
            for value in (clip.actual, *clip.predicted.values(), *(clip.likely or ()))
        ]
    )


def _plot_json(figure: go.Figure) -> str:
    """Return a figure as JSON that may stand in a script element: no ``<`` can end it."""
    return str(figure.to_json()).replace("<", "\\u003c")


def _plain(value: Any) -> Any:
    """Return parameters with every typed group as a plain mapping."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return value


def _versions() -> dict[str, str]:
    found = {name: metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **found}
