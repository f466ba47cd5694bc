"""The report: one page of HTML that needs nothing but itself, every sentence from the numbers."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping, Sequence
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

from tiktok_virality.pipelines.reporting import palette, pictures, wording
from tiktok_virality.pipelines.reporting.sample import SampledClip
from tiktok_virality.pipelines.reporting.scale import ViewScale
from tiktok_virality.schema import SPLITS
from tiktok_virality.tracking.child_runs import flatten

TEMPLATE: Final = "report.html.j2"
FEW_CREATORS: Final = 10
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
        corpus: Of `summarise_corpus`.
        training: Of `summarise_training`.
        clips: The sampled clips.
        reconstructions: Held-out originals and what the autoencoder made of them.
        plots: ``leaderboard``, ``actual_vs_predicted``, ``ensemble_loss``, ``autoencoder_loss``.
        parameters: Of the run.
    """

    verdict: Mapping[str, Any]
    leaderboard: Sequence[Mapping[str, Any]]
    corpus: Mapping[str, Any]
    training: Mapping[str, Any]
    clips: Sequence[SampledClip]
    reconstructions: Mapping[str, Any]
    plots: Mapping[str, go.Figure]
    parameters: Mapping[str, Any]


def render(results: Results) -> str:
    """Return the page."""
    verdict = results.verdict
    test = _rows_of(results, "test")
    return (
        _environment()
        .get_template(TEMPLATE)
        .render(
            verdict=verdict,
            corpus=results.corpus,
            few_creators=verdict["creators"] < FEW_CREATORS,
            ceiling=_ceiling(results),
            headline=next(row for row in test if row["model"] == verdict["model"]),
            baseline=next(row for row in test if row["model"] == verdict["baseline"]),
            tables={split: _rows_of(results, split) for split in SPLITS},
            courses={name: _course(model) for name, model in results.training.items()},
            spans=_spans(results),
            strips=_strips(results.reconstructions),
            clips=_cards(results),
            scale=ViewScale.around(_views_on_cards(results.clips)),
            plots={name: _plot_json(figure) for name, figure in results.plots.items()},
            seed=results.parameters["seed"],
            parameters=flatten(_plain(results.parameters)),
            versions=_versions(),
            written_at=datetime.now(UTC),
            plotly_js=get_plotlyjs(),
            stylesheet=Path(__file__).with_name("report.css").read_text("utf-8"),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
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
        "clock": wording.clock,
        "colour": palette.colour,
        "sees": lambda modality: wording.SEES.get(modality, modality),
        "factor": lambda mae: f"\N{MULTIPLICATION SIGN}{wording.number(math.exp(mae), 1)}",
    }
    environment.globals["plural"] = wording.plural
    return environment


def _rows_of(results: Results, split: str) -> list[Mapping[str, Any]]:
    return [row for row in results.leaderboard if row["split"] == split]


def _ceiling(results: Results) -> list[dict[str, Any]]:
    """Return, for a synthetic corpus, what was reachable beside the best that was reached."""
    if results.corpus["synthetic"] is None:
        return []
    rows = []
    for modality, reachable in results.corpus["synthetic"]["reachable_r2"].items():
        trained = [
            row
            for row in _rows_of(results, "test")
            if row["modality"] == modality and row["model"] in results.training
        ]
        if modality == "visual+audio":
            trained = [row for row in trained if row["model"] == results.verdict["model"]]
        rows.append({"modality": modality, **reachable, "reached": trained[0]})
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
    true, predicted = np.expm1(np.asarray(points.x)), np.expm1(np.asarray(points.y))
    return {
        "true_low": float(true.min()),
        "true_high": float(true.max()),
        "predicted_low": float(predicted.min()),
        "predicted_high": float(predicted.max()),
    }


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
            "views": clip.views,
            "predicted": clip.predicted,
        }
        for clip in results.clips
    ]


def _views_on_cards(clips: Sequence[SampledClip]) -> list[float]:
    return [views for clip in clips for views in (clip.views, *clip.predicted.values())]


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
