"""The interactive figures. Backgrounds are clear and text is grey: they stand on any page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tiktok_virality.pipelines.reporting.palette import GREY, colour, faint
from tiktok_virality.pipelines.reporting.wording import count, label, number

TEXT: Final = "#737a83"
CLEAR: Final = "rgba(0,0,0,0)"
GRID: Final = "rgba(128,134,142,0.22)"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"

SPOKEN: Final = {"train": "training", "validation": "validation"}
TRAINING: Final = {"dash": "dot", "width": 1.5}
VALIDATION: Final = {"dash": "solid", "width": 2.5}


def loss_plot(
    histories: Mapping[str, Sequence[Mapping[str, float]]], unit: str, constant: float | None = None
) -> go.Figure:
    """Draw training (dotted) and validation loss (solid) of models by epoch.

    Args:
        histories: Rows of ``epoch``, ``train_loss``, ``validation_loss``, by model.
        unit: Of the loss.
        constant: The loss of predicting the training mean, as a line for comparison.
    """
    figure = go.Figure()
    for model, history in histories.items():
        for part, line in (("train", TRAINING), ("validation", VALIDATION)):
            trace = _course(model, history, part, line)
            if len(histories) == 1:
                trace.update(name=SPOKEN[part])
            figure.add_trace(trace)
    if len(histories) > 1:
        figure.update_traces(showlegend=False, selector={"meta": "train"})
    if constant is not None:
        figure.add_hline(y=constant, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_xaxes(title="epoch", tickformat="d")
    figure.update_yaxes(title=unit, rangemode="tozero")
    return _plain(figure, height=380)


def leaderboard_plot(
    rows: Sequence[Mapping[str, Any]], challenger: str, baseline: str
) -> go.Figure:
    """Draw the MSE of every model with its interval, the best on top.

    Args:
        rows: Of the leaderboard, of one split.
        challenger: The model that stands out.
        baseline: Its error is a line for comparison.
    """
    best_last = sorted(rows, key=lambda row: -row["mse"])
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=[label(row["model"]) for row in best_last],
            x=[row["mse"] for row in best_last],
            marker={
                "color": [_bar_colour(row["model"], challenger) for row in best_last],
                "line": {"width": 0},
            },
            error_x=_error_bars(best_last),
            customdata=[_span(row, "mse") for row in best_last],
            hovertemplate="%{y}: %{x:.3f}<br>%{customdata}<extra></extra>",
        )
    )
    reference = next(row["mse"] for row in rows if row["model"] == baseline)
    figure.add_vline(x=reference, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_xaxes(title="mean squared error of log views", rangemode="tozero")
    figure.update_yaxes(automargin=True, showgrid=False, ticksuffix="  ")
    return _plain(figure, height=110 + 30 * len(rows), bargap=0.4, showlegend=False)


def actual_vs_predicted_plot(test: pd.DataFrame, models: Sequence[str]) -> go.Figure:
    """Draw true and predicted log views, with the line on which they are equal.

    Args:
        test: ``video_id``, ``model``, ``y_true`` and ``y_pred`` (log1p views) of the test split.
        models: Which to draw, the last on top.
    """
    rows = test[test["model"].isin(models)]
    limits = _limits(rows[["y_true", "y_pred"]].to_numpy())
    figure = go.Figure(
        go.Scatter(
            x=limits,
            y=limits,
            mode="lines",
            line={"color": GREY, "width": 1.5, "dash": "dash"},
            name="predicted = actual",
            hoverinfo="skip",
        )
    )
    for model, symbol in zip(models, ("diamond-open", "circle"), strict=True):
        figure.add_trace(_points(rows[rows["model"] == model], model, symbol))
    ticks = _decades(*limits)
    axis = {
        "range": limits,
        "tickvals": [math.log1p(views) for views in ticks],
        "ticktext": [count(views) for views in ticks],
        "constrain": "domain",
    }
    figure.update_xaxes(title="actual views", **axis)
    figure.update_yaxes(title="predicted views", scaleanchor="x", **axis)
    return _plain(figure, height=520)


def _course(
    model: str, history: Sequence[Mapping[str, float]], part: str, line: Mapping[str, Any]
) -> go.Scatter:
    return go.Scatter(
        x=[row["epoch"] + 1 for row in history],
        y=[row[f"{part}_loss"] for row in history],
        mode="lines+markers" if len(history) < 2 else "lines",
        name=label(model),
        legendgroup=model,
        meta=part,
        line={"color": colour(model), **line},
        hovertemplate=f"{label(model)}, {SPOKEN[part]}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
    )


def _points(rows: pd.DataFrame, model: str, symbol: str) -> go.Scatter:
    views = np.expm1(rows[["y_true", "y_pred"]].to_numpy())
    return go.Scatter(
        x=rows["y_true"],
        y=rows["y_pred"],
        mode="markers",
        name=label(model),
        marker={
            "color": faint(colour(model), 0.85),
            "size": 9,
            "symbol": symbol,
            "line": {"width": 1.3 if symbol.endswith("open") else 0, "color": colour(model)},
        },
        text=rows["video_id"],
        customdata=[[count(true), count(predicted)] for true, predicted in views],
        hovertemplate="%{text}<br>actual %{customdata[0]}, predicted %{customdata[1]}",
    )


def _limits(values: np.ndarray) -> list[float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.06 * (high - low) or 1.0
    return [low - margin, high + margin]


def _decades(low: float, high: float) -> list[float]:
    """Return the round counts of views between two log1p counts; at least two of them."""
    first, last = (math.log10(max(math.expm1(limit), 1)) for limit in (low, high))
    steps = (1.0,) if last - first > 2.5 else (1.0, 3.0)
    decades = range(math.floor(first), math.ceil(last) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return [views for views in ticks if low <= math.log1p(views) <= high]


def _bar_colour(model: str, challenger: str) -> str:
    return colour(model) if model == challenger else faint(colour(model), 0.55)


def _error_bars(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the intervals as Plotly wants them: distances from the value, never below 0."""

    def distances(end: str, sign: int) -> list[float]:
        ends = [row["mse"] if row[f"mse_{end}"] is None else row[f"mse_{end}"] for row in rows]
        return [max(0.0, sign * (e - row["mse"])) for e, row in zip(ends, rows, strict=True)]

    return {
        "type": "data",
        "symmetric": False,
        "array": distances("high", 1),
        "arrayminus": distances("low", -1),
        "color": TEXT,
        "thickness": 1.4,
        "width": 4,
    }


def _span(row: Mapping[str, Any], metric: str) -> str:
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    return "no interval" if low is None else f"from {number(low, 3)} to {number(high, 3)}"


def _plain(figure: go.Figure, *, height: int, **layout: Any) -> go.Figure:
    axis = {
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": GRID,
        "title_standoff": 10,
        "title_font_size": 13,
    }
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    return figure.update_layout(
        template="none",
        height=height,
        font={"family": FONT, "size": 13, "color": TEXT},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        margin={"l": 62, "r": 16, "t": 16, "b": 52},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "bgcolor": CLEAR},
        hoverlabel={"font": {"family": FONT}},
        **layout,
    )
