"""Table 2 and the figures of the paper, of this run: the published models beside ours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tiktok_virality.models.roles import PUBLISHED_MODELS
from tiktok_virality.pipelines.reporting.palette import GREY, colour
from tiktok_virality.pipelines.reporting.tables import main_rows
from tiktok_virality.pipelines.reporting.target_words import TargetWords
from tiktok_virality.pipelines.reporting.wording import count, label, number
from tiktok_virality.schema import DataError

CONSTANTS: Final = ("training_mean", "training_median")
LINES: Final[Mapping[str, str]] = dict(zip(PUBLISHED_MODELS, ("--", ":", "-"), strict=True))


def second_table(leaderboard: Sequence[Mapping[str, Any]], clips: int) -> str:
    """Write the errors of models on the test split, in thousands of views, as Markdown.

    Args:
        leaderboard: Its rows.
        clips: Tested.

    Raises:
        DataError: The errors are no errors of views.
    """
    rows = {row["model"]: row for row in main_rows(leaderboard, "test")}
    shown = [name for name in (*PUBLISHED_MODELS, "ensemble", *CONSTANTS) if name in rows]
    if any(rows[name]["mse_views"] is None for name in shown):
        raise DataError(
            "Table 2 of the paper has errors of views, and the target is none: set "
            "modeling.target.kind to log_views, or published.take_part to false."
        )
    lines = [
        "| model | MSE, (K views)² | MAE, K views | MSE of log views | skill |",
        "|---|--:|--:|--:|--:|",
        *(_line(rows[name]) for name in shown),
    ]
    return "\n".join([f"On {clips} test clips:", "", *lines, ""])


def _line(row: Mapping[str, Any]) -> str:
    cells = (
        number(row["mse_views"], 0),
        number(row["mae_views"], 1),
        number(row["mse"]),
        number(row["skill_mean"]),
    )
    return f"| {label(row['model'])} | {' | '.join(cells)} |"


def figures(
    training: Mapping[str, Any], test: pd.DataFrame, challenger: str, words: TargetWords
) -> Figure:
    """Draw losses of the autoencoder and of the published models, and actual beside predicted.

    Args:
        training: Size and loss history of every model, by name.
        test: Predictions of test clips under one seed.
        challenger: Which of our models to draw beside the published ensemble.
        words: Of the target.
    """
    figure = Figure(figsize=(13, 4.2), layout="constrained")
    of_pixels, of_views, both = figure.subplots(1, 3)
    if "autoencoder" in training:
        _draw_losses(of_pixels, training, ["autoencoder"])
    of_pixels.set(title="autoencoder", ylabel="mean squared error of pixels")
    of_pixels.set_ylim(bottom=0)
    _draw_losses(of_views, training, [name for name in PUBLISHED_MODELS if name in training])
    of_views.set(title="published models", ylabel="mean squared error, standardised")
    of_views.set_yscale("log")  # the first epochs are off by orders of magnitude
    of_views.axhline(1.0, color=GREY, linewidth=1, linestyle="--")  # the training mean
    _draw_predictions(both, test, [challenger, PUBLISHED_MODELS[-1]], words)
    both.set(title="test clips")
    return figure


def _draw_losses(axes: Axes, training: Mapping[str, Any], models: Sequence[str]) -> None:
    """Draw training losses faint and validation losses full, by epoch."""
    for model in models:
        history = training[model]["history"]
        epochs = [row["epoch"] + 1 for row in history]
        for part, opacity in (("train", 0.45), ("validation", 1.0)):
            axes.plot(
                epochs,
                [row[f"{part}_loss"] for row in history],
                LINES.get(model, "-"),
                marker="o" if part == "validation" else "x",
                color=colour(model),
                alpha=opacity,
                label=f"{label(model)}, {'training' if part == 'train' else part}",
            )
        axes.set_xticks(epochs)
    axes.set_xlabel("epoch")
    if models:
        axes.legend(fontsize=7)


def _draw_predictions(
    axes: Axes, test: pd.DataFrame, models: Sequence[str], words: TargetWords
) -> None:
    drawn = test[test["model"].isin(models)]
    values = drawn[["y_true", "y_pred"]].to_numpy(dtype=float)
    ends = [float(values.min()), float(values.max())]
    axes.plot(ends, ends, "--", color=GREY, linewidth=1, label="predicted = actual")
    for model, marker in zip(models, ("o", "D"), strict=True):
        rows = drawn[drawn["model"] == model]
        axes.scatter(
            rows["y_true"],
            rows["y_pred"],
            s=18,
            marker=marker,
            facecolors="none",
            edgecolors=colour(model),
            label=label(model),
        )
    if words.counts:
        ticks = [10**power for power in range(13) if ends[0] <= math.log1p(10**power) <= ends[1]]
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks([math.log1p(each) for each in ticks], [count(each) for each in ticks])
    axes.set(xlabel=f"actual {words.name}", ylabel=f"predicted {words.name}")
    axes.legend(fontsize=7)
