"""The interactive figures. Backgrounds are clear and text is grey: they stand on any page."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tiktok_virality.modalities import MODALITIES
from tiktok_virality.pipelines.reporting.evidence import (
    Coverage,
    CoverageRow,
    Flagged,
    NoveltyEvidence,
    SplitScore,
)
from tiktok_virality.pipelines.reporting.palette import GREY, SERIES, colour, faint
from tiktok_virality.pipelines.reporting.tables import Row, regime_tables
from tiktok_virality.pipelines.reporting.target_words import TargetWords
from tiktok_virality.pipelines.reporting.wording import (
    METHODS,
    REGIMES,
    STRATEGIES,
    count,
    label,
    number,
    part_name,
    percent,
    probability,
)

TEXT: Final = "#737a83"
CLEAR: Final = "rgba(0,0,0,0)"
GRID: Final = "rgba(128,134,142,0.22)"
FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"

MARGINS_PIXELS: Final = 110
BETWEEN_PANELS_PIXELS: Final = 48

FARTHER_THAN_ANY_MARK: Final = 0.5
"""By how much the axis of the comparisons goes on beyond the leftmost mark, at most."""

LEAST_SKILL_SHOWN: Final = -0.5
"""The overview's axis goes no further: worse than knowing nothing is worse enough."""

SHORT: Final[Mapping[str, str]] = {
    "ensemble": "all together",
    **{name: f"{name} alone" for name in MODALITIES},
}
SPOKEN: Final = {"train": "training", "validation": "validation"}
EPOCHS_PER_TICK: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
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
    longest = max(map(len, histories.values()), default=0)
    step = next((step for step in EPOCHS_PER_TICK if longest <= 10 * step), EPOCHS_PER_TICK[-1])
    figure.update_xaxes(title="epoch", tickformat="d", tick0=0, dtick=step)
    figure.update_yaxes(title=unit, rangemode="tozero")
    return plain(figure, height=380)


def overview_plot(rows: Sequence[Row], challenger: str, baseline: str) -> go.Figure:
    """Draw the skill of the ensemble, of each modality alone and of the best baseline.

    Args:
        rows: Of the leaderboard, of one split and the main seed.
        challenger: The ensemble, which stands on top.
        baseline: The best baseline.
    """
    mine = [
        row
        for row in rows
        if row["skill_mean"] is not None
        and (row["role"] == "modality" or row["model"] in (challenger, baseline))
    ]
    mine = sorted(mine, key=lambda row: (row["model"] == challenger, row["skill_mean"]))
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=[SHORT.get(row["model"], label(row["model"])) for row in mine],
            x=[row["skill_mean"] for row in mine],
            marker={"color": [_bar_colour(row["model"], challenger) for row in mine]},
            error_x=_error_bars(mine, "skill_mean"),
            customdata=[_span(row, "skill_mean") for row in mine],
            hovertemplate="%{y}: %{x:.3f}<br>%{customdata}<extra></extra>",
        )
    )
    figure.update_traces(marker_line_width=0)
    figure.add_vline(x=0, line={"color": GREY, "width": 1})
    ends = [
        row[name] for row in mine for name in ("skill_mean", "skill_mean_low", "skill_mean_high")
    ]
    known = [0.0, *(end for end in ends if end is not None)]
    low, high = max(min(known), LEAST_SKILL_SHOWN), max(known)
    figure.update_xaxes(tickformat=".0%", range=[low - 0.03, high + 0.03])
    figure.update_yaxes(automargin=True, showgrid=False, ticksuffix="  ")
    plain(figure, height=40 + 26 * len(mine), bargap=0.35, showlegend=False)
    return figure.update_layout(margin={"l": 62, "r": 8, "t": 4, "b": 30})


def leaderboard_plot(
    rows: Sequence[Row], challenger: str, baseline: str, scale: str = "log views"
) -> go.Figure:
    """Draw the MSE of every model with its interval and its seeds, the best on top.

    Models that may know different things stand in different panels.

    Args:
        rows: Of the leaderboard, of one split; the main seed of a model comes first.
        challenger: The model that stands out.
        baseline: Its error is a line for comparison, in the panel in which it stands.
        scale: Of the errors.
    """
    tables = [table for split in _splits(rows) for table in regime_tables(rows, split)]
    sizes = [len(table.rows) for table in tables]
    height = MARGINS_PIXELS + BETWEEN_PANELS_PIXELS * (len(tables) - 1) + 28 * sum(sizes)
    figure = panels([table.title for table in tables], sizes, height)
    for at, table in enumerate(tables, start=1):
        best_last = sorted(table.rows, key=lambda row: -row["mse"])
        figure.add_trace(_bars(best_last, challenger), row=at, col=1)
        others = [row for row in rows if row["regime"] == table.regime]
        figure.add_trace(_other_seeds(others), row=at, col=1)
        for row in best_last:
            if row["model"] == baseline:
                line = {"color": GREY, "width": 1, "dash": "dash"}
                figure.add_vline(x=row["mse"], line=line, row=at, col=1)
    figure.update_xaxes(rangemode="tozero")
    figure.update_xaxes(title=f"mean squared error of {scale}", row=len(tables), col=1)
    figure.update_yaxes(automargin=True, showgrid=False, ticksuffix="  ")
    return plain(figure, height=height, bargap=0.4, showlegend=False)


def comparisons_plot(rows: Sequence[Row]) -> go.Figure:
    """Draw the share of every model's squared error that the ensemble does away with.

    A share has no lower bound; the ends of very wide intervals are left out of sight.

    Args:
        rows: Comparisons; those of the main seed come first.
    """
    drawn = [row for row in rows if row["seed"] == rows[0]["seed"] and row["skill"] is not None]
    drawn = sorted(drawn, key=lambda row: row["skill"], reverse=True)
    figure = go.Figure(
        go.Scatter(
            mode="markers",
            y=[label(row["reference"]) for row in drawn],
            x=[row["skill"] for row in drawn],
            marker={
                "size": 11,
                "color": [colour(row["reference"]) for row in drawn],
                "symbol": ["circle" if row["significant"] else "circle-open" for row in drawn],
                "line": {"width": 2, "color": [colour(row["reference"]) for row in drawn]},
            },
            error_x=_error_bars(drawn, "skill"),
            customdata=[
                [_span(row, "skill"), probability(row["p_adjusted"]), row["outcome"]]
                for row in drawn
            ],
            hovertemplate="ensemble %{customdata[2]}: %{x:.3f}<br>%{customdata[0]}"
            "<br>p after correction: %{customdata[1]}<extra>%{y}</extra>",
        )
    )
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_xaxes(title="share of the squared error that the ensemble does away with")
    figure.update_xaxes(tickformat=".0%")
    lows = [row["skill_low"] for row in drawn if row["skill_low"] is not None]
    farthest = min((row["skill"] for row in drawn), default=0.0) - FARTHER_THAN_ANY_MARK
    if lows and min(lows) < farthest:
        figure.update_xaxes(autorangeoptions={"minallowed": farthest})
    figure.update_yaxes(automargin=True, ticksuffix="  ")
    return plain(figure, height=110 + 26 * len(drawn), showlegend=False)


def coverage_plot(coverage: Coverage | None) -> go.Figure:
    """Draw how often intervals held the truth, by level and part of the clips.

    Filled marks are of the method that the predictions have, open ones of the other.
    """
    rows = [row for row in coverage.one_per_part() if row.coverage is not None] if coverage else []
    if coverage is None or not rows:
        return _saying("No intervals were measured.")
    parts = list(dict.fromkeys((row.group, row.value) for row in rows))
    place = {part: len(parts) - index for index, part in enumerate(parts)}
    figure = go.Figure()
    for level, shade in zip(sorted({row.level for row in rows}), SERIES, strict=False):
        figure.add_vline(x=level, line={"color": shade, "width": 1.2, "dash": "dash"})
        for method in dict.fromkeys((coverage.method, *METHODS)):
            mine = [row for row in rows if (row.level, row.method) == (level, method)]
            if mine:
                used = method == coverage.method
                shift = 0.14 if used else -0.14
                y = [place[row.group, row.value] + shift for row in mine]
                figure.add_trace(_covered(mine, y, shade, used=used))
    figure.update_yaxes(
        tickvals=list(place.values()),
        ticktext=[part_name(*part) for part in place],
        range=[0.4, len(parts) + 0.6],
        automargin=True,
        ticksuffix="  ",
    )
    figure.update_xaxes(title="share of test clips whose interval held the truth", tickformat=".0%")
    return plain(figure, height=140 + 44 * len(parts))


def novelty_plot(evidence: NoveltyEvidence | None) -> go.Figure:
    """Draw the share that was flagged, of ordinary test clips and of every unlike kind."""
    if evidence is None:
        return _saying("No unlike clips were tried.")
    alarms = evidence.false_alarms
    rows: list[tuple[str, Flagged, str]] = [("test clips as they are", alarms, GREY)]
    rows += [(row.alteration, row, SERIES[0]) for row in evidence.unlike]
    shown = [row for row in rows if row[1].flagged is not None][::-1]
    shares = [float(row.flagged or 0) for _, row, _ in shown]
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=[name for name, _, _ in shown],
            x=shares,
            marker={"color": [faint(shade, 0.75) for _, _, shade in shown], "line": {"width": 0}},
            error_x=bars_of_error(
                shares, [row.low for _, row, _ in shown], [row.high for _, row, _ in shown], TEXT
            ),
            customdata=[row.n for _, row, _ in shown],
            hovertemplate="%{y}: %{x:.0%} of %{customdata} clips<extra></extra>",
        )
    )
    figure.add_vline(x=evidence.alpha, line={"color": GREY, "width": 1.2, "dash": "dash"})
    figure.update_xaxes(title="share of clips that was flagged", tickformat=".0%", range=[0, 1.02])
    figure.update_yaxes(automargin=True, showgrid=False, ticksuffix="  ")
    return plain(figure, height=110 + 30 * len(shown), bargap=0.4, showlegend=False)


def split_sensitivity_plot(scores: Sequence[SplitScore]) -> go.Figure:
    """Draw R² on the test split by way of splitting: a small dot per redrawing, a large mean.

    Models that may know different things stand in different panels.
    """
    known = [score for score in scores if score.r2 is not None]
    if not known:
        return _saying("The clips were split in one way only.")
    strategies = [name for name in STRATEGIES if any(score.strategy == name for score in known)]
    regimes = [name for name in REGIMES if any(score.regime == name for score in known)]
    sizes = [len(strategies)] * len(regimes)
    height = MARGINS_PIXELS + BETWEEN_PANELS_PIXELS * len(regimes) + 46 * sum(sizes)
    figure = panels([REGIMES[name] for name in regimes], sizes, height)
    models = list(dict.fromkeys(score.model for score in known))
    shades = dict(zip(models, itertools.cycle(SERIES), strict=False))
    for at, regime in enumerate(regimes, start=1):
        mine = [score for score in known if score.regime == regime]
        here = list(dict.fromkeys(score.model for score in mine))
        for order, model in enumerate(here):
            shift = 0.22 * (order - (len(here) - 1) / 2)
            drawn = [score for score in mine if score.model == model]
            for trace in _redrawn(drawn, strategies, shift, shades[model]):
                figure.add_trace(trace, row=at, col=1)
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dash"})
    figure.update_yaxes(
        tickvals=[-index for index in range(len(strategies))],
        ticktext=[STRATEGIES[name] for name in strategies],
        range=[0.6 - len(strategies), 0.6],
        automargin=True,
        ticksuffix="  ",
    )
    figure.update_xaxes(title="R² on the test split", row=len(regimes), col=1)
    plain(figure, height=height)
    if len(regimes) > 1:  # the legend stands above the title of the first panel
        figure.update_layout(legend_y=1 + 26 / (height - MARGINS_PIXELS))
    return figure


def actual_vs_predicted_plot(
    test: pd.DataFrame, models: Sequence[str], words: TargetWords
) -> go.Figure:
    """Draw truth and prediction of every clip, with the line on which they are equal.

    Args:
        test: ``video_id``, ``model``, ``y_true`` and ``y_pred`` of the test split, one seed.
        models: Which to draw, the last on top.
        words: Of the target.
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
        figure.add_trace(_points(rows[rows["model"] == model], model, symbol, words))
    axis: dict[str, Any] = {"range": limits, "constrain": "domain"}
    if words.counts:
        ticks = _decades(*limits)
        axis["tickvals"] = [math.log1p(views) for views in ticks]
        axis["ticktext"] = [count(views) for views in ticks]
    figure.update_xaxes(title=f"actual {words.name}", **axis)
    figure.update_yaxes(title=f"predicted {words.name}", scaleanchor="x", **axis)
    return plain(figure, height=520)


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


def _points(rows: pd.DataFrame, model: str, symbol: str, words: TargetWords) -> go.Scatter:
    pairs = rows[["y_true", "y_pred"]].to_numpy()
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
        customdata=[[words.written(words.natural(value)) for value in pair] for pair in pairs],
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


def _splits(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["split"] for row in rows))


def panels(titles: Sequence[str], sizes: Sequence[int], height: int) -> go.Figure:
    """Return panels below each other on one x axis, as high as what they hold.

    Args:
        titles: Of the panels; a single one goes without.
        sizes: How many rows each holds.
        height: Of the whole figure, in pixels.
    """
    several = len(titles) > 1
    figure = make_subplots(
        rows=len(titles),
        cols=1,
        shared_xaxes=True,
        row_heights=[size + 0.6 for size in sizes],
        vertical_spacing=BETWEEN_PANELS_PIXELS / (height - MARGINS_PIXELS) if several else 0,
        subplot_titles=list(titles) if several else None,
    )
    return figure.update_annotations(
        x=0, xanchor="left", yshift=2, font={"family": FONT, "size": 13, "color": TEXT}
    )


def _bars(rows: Sequence[Row], challenger: str) -> go.Bar:
    return go.Bar(
        orientation="h",
        y=[label(row["model"]) for row in rows],
        x=[row["mse"] for row in rows],
        marker={
            "color": [_bar_colour(row["model"], challenger) for row in rows],
            "line": {"width": 0},
        },
        error_x=_error_bars(rows, "mse"),
        customdata=[_span(row, "mse") for row in rows],
        hovertemplate="%{y}: %{x:.3f}<br>%{customdata}<extra></extra>",
    )


def _other_seeds(rows: Sequence[Row]) -> go.Scatter:
    """Return a dot for every seed of every model that was trained with several."""
    counts = Counter(row["model"] for row in rows)
    repeated = [row for row in rows if counts[row["model"]] > 1]
    return go.Scatter(
        mode="markers",
        y=[label(row["model"]) for row in repeated],
        x=[row["mse"] for row in repeated],
        marker={"color": TEXT, "size": 6, "line": {"color": "#fff", "width": 0.8}},
        customdata=[row["seed"] for row in repeated],
        hovertemplate="%{y}, seed %{customdata}: %{x:.3f}<extra></extra>",
    )


def _covered(
    rows: Sequence[CoverageRow], y: Sequence[float], shade: str, *, used: bool
) -> go.Scatter:
    name = f"{percent(rows[0].level)}, {METHODS[rows[0].method]}"
    values = [float(row.coverage or 0) for row in rows]
    lows, highs = [row.low for row in rows], [row.high for row in rows]
    return go.Scatter(
        mode="markers",
        x=values,
        y=list(y),
        name=name,
        marker={
            "color": shade,
            "size": 9,
            "symbol": "circle" if used else "diamond-open",
            "line": {"width": 0 if used else 1.6, "color": shade},
        },
        error_x=bars_of_error(values, lows, highs, shade),
        customdata=[[part_name(row.group, row.value), row.n] for row in rows],
        hovertemplate=f"{name}<br>%{{customdata[0]}}: %{{x:.1%}} of %{{customdata[1]}} clips"
        "<extra></extra>",
    )


def _redrawn(
    scores: Sequence[SplitScore], strategies: Sequence[str], shift: float, shade: str
) -> list[go.Scatter]:
    """Return the dots of one model's redrawings, and the large dots of their means."""
    by_strategy = {
        name: [float(score.r2 or 0) for score in scores if score.strategy == name]
        for name in strategies
    }
    model = scores[0].model
    small = [(value, name) for name, values in by_strategy.items() for value in values]
    large = [(statistics.fmean(values), name) for name, values in by_strategy.items() if values]
    traces = []
    for points, size, opacity in ((small, 6, 0.45), (large, 13, 1)):
        traces.append(
            go.Scatter(
                mode="markers",
                x=[value for value, _ in points],
                y=[-strategies.index(name) - shift for _, name in points],
                name=label(model),
                legendgroup=model,
                showlegend=size > 10,
                marker={"color": faint(shade, opacity), "size": size, "line": {"width": 0}},
                text=[STRATEGIES[name] for _, name in points],
                hovertemplate=f"{label(model)}, %{{text}}: %{{x:.3f}}<extra></extra>",
            )
        )
    return traces


def _saying(words: str) -> go.Figure:
    figure = go.Figure()
    figure.add_annotation(text=words, showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return plain(figure, height=160)


def _bar_colour(model: str, challenger: str) -> str:
    return colour(model) if model == challenger else faint(colour(model), 0.55)


def _error_bars(rows: Sequence[Row], metric: str) -> dict[str, Any]:
    """Return the intervals as Plotly wants them: distances from the value, never below 0."""
    values = [row[metric] for row in rows]
    lows = [row[f"{metric}_low"] for row in rows]
    highs = [row[f"{metric}_high"] for row in rows]
    return bars_of_error(values, lows, highs, TEXT)


def bars_of_error(
    values: Sequence[float],
    lows: Sequence[float | None],
    highs: Sequence[float | None],
    shade: str,
) -> dict[str, Any]:
    """Return intervals as Plotly wants them: distances from the values, never below 0.

    Args:
        values: What was measured.
        lows: Lower ends; ``None`` where there is no interval.
        highs: Upper ends.
        shade: Colour of the lines.
    """

    def distances(ends: Sequence[float | None], sign: int) -> list[float | None]:
        pairs = zip(values, ends, strict=True)
        return [None if end is None else max(0.0, sign * (end - value)) for value, end in pairs]

    return {
        "type": "data",
        "symmetric": False,
        "array": distances(highs, 1),
        "arrayminus": distances(lows, -1),
        "color": shade,
        "thickness": 1.4,
        "width": 4,
    }


def _span(row: Mapping[str, Any], metric: str) -> str:
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    return "no interval" if low is None else f"from {number(low, 3)} to {number(high, 3)}"


def plain(figure: go.Figure, *, height: int, **layout: Any) -> go.Figure:
    """Return a figure that stands on any page: clear ground, grey text, quiet axes.

    Args:
        figure: What was drawn.
        height: In pixels.
        **layout: What else Plotly should know.
    """
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
