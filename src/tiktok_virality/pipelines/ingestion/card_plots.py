"""The figures of the dataset card."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import plotly.graph_objects as go

from tiktok_virality.pipelines.ingestion.card import (
    Concentration,
    DatasetSummary,
    Dates,
    Histogram,
    Topics,
)
from tiktok_virality.pipelines.reporting.palette import GREY, SERIES, faint
from tiktok_virality.pipelines.reporting.plots import plain
from tiktok_virality.pipelines.reporting.wording import count, number

HEIGHT: Final = 320
BLUE, ORANGE, GREEN = SERIES[:3]
ROW_PIXELS: Final = 26
FEW: Final = 5
AGES: Final = {0.1: "2 h", 1: "1 day", 7: "1 week", 30: "1 month", 365: "1 year", 3650: "10 years"}
"""Round ages in days."""


def card_plots(summary: DatasetSummary) -> dict[str, go.Figure]:
    """Return the figures that the summary has numbers for, by name."""
    plots = {"views": views_plot(summary.views_histogram, summary.views.median)}
    plots["durations"] = durations_plot(summary.durations_histogram)
    if summary.topics is not None:
        plots["topics"] = topics_plot(summary.topics)
    if summary.creators is not None and summary.creators.creators > 1:
        plots["creators"] = creators_plot(summary.creators)
    if summary.posted.known or summary.captured.known:
        plots["dates"] = dates_plot(summary.posted, summary.captured)
    if summary.age_histogram is not None:
        plots["ages"] = ages_plot(summary.age_histogram)
    return plots


def views_plot(histogram: Histogram, median: float | None) -> go.Figure:
    """Draw clips by their views, on a logarithmic axis."""
    figure = go.Figure(_bars_of_logs(histogram, BLUE, count))
    if median is not None:
        figure.add_vline(
            x=math.log10(max(median, 1)),
            line={"color": ORANGE, "width": 1.5, "dash": "dash"},
            annotation={"text": f"median {count(median)}", "yanchor": "bottom"},
        )
    low, high = math.floor(histogram.edges[0]), math.ceil(histogram.edges[-1])
    decades = list(range(low, high + 1))
    figure.update_xaxes(
        title="views (logarithmic)",
        tickvals=decades,
        ticktext=[count(10.0**decade) for decade in decades],
        range=[low - 0.05, high + 0.05],
    )
    return _counting_clips(figure, top=34)


def ages_plot(histogram: Histogram) -> go.Figure:
    """Draw clips by their age when the views were counted, on a logarithmic axis."""
    figure = go.Figure(_bars_of_logs(histogram, GREEN, lambda days: f"{number(days, 1)} days"))
    low, high = histogram.edges[0] - 0.25, histogram.edges[-1] + 0.25
    ticks = {math.log10(days): name for days, name in AGES.items()}
    ticks = {place: name for place, name in ticks.items() if low <= place <= high}
    figure.update_xaxes(
        title="age when the views were counted (logarithmic)",
        tickvals=list(ticks),
        ticktext=list(ticks.values()),
        range=[low, high],
    )
    return _counting_clips(figure)


def durations_plot(histogram: Histogram) -> go.Figure:
    """Draw clips by their length."""
    edges = histogram.edges
    figure = go.Figure(
        go.Bar(
            x=_centres(edges),
            y=histogram.counts,
            width=_widths(edges),
            marker={"color": faint(ORANGE, 0.75), "line": {"width": 0}},
            customdata=_pairs(edges),
            hovertemplate="%{customdata[0]:.1f} to %{customdata[1]:.1f} s: %{y} clips"
            "<extra></extra>",
        )
    )
    figure.update_xaxes(title="length in seconds", rangemode="tozero")
    return _counting_clips(figure)


def topics_plot(topics: Topics) -> go.Figure:
    """Draw clips by topic or hashtag, with their median views in words."""
    groups = topics.groups[::-1]
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=[group.name for group in groups],
            x=[group.clips for group in groups],
            marker={"color": faint(BLUE, 0.75), "line": {"width": 0}},
            text=[f"median {count(group.median_views)} views" for group in groups],
            textposition="auto",
            insidetextanchor="start",
            insidetextfont={"color": "#fff"},
            hovertemplate="%{y}: %{x} clips, %{text}<extra></extra>",
        )
    )
    figure.update_yaxes(automargin=True, showgrid=False, ticksuffix="  ", type="category")
    figure.update_xaxes(title="clips", rangemode="tozero", tickformat=",d")
    return plain(figure, height=110 + ROW_PIXELS * len(groups), bargap=0.25, showlegend=False)


def creators_plot(creators: Concentration) -> go.Figure:
    """Draw the Lorenz curves of clips and views over creators."""
    places = [index / (len(creators.curve_clips) - 1) for index in range(len(creators.curve_clips))]
    figure = go.Figure(
        go.Scatter(
            x=[0, 1],
            y=[0, 1],
            mode="lines",
            name="all equal",
            line={"color": GREY, "width": 1.5, "dash": "dash"},
            hoverinfo="skip",
        )
    )
    curves = (("clips", creators.curve_clips, BLUE), ("views", creators.curve_views, ORANGE))
    for name, curve, shade in curves:
        figure.add_trace(
            go.Scatter(
                x=places,
                y=curve,
                mode="lines",
                name=name,
                line={"color": shade, "width": 2.5},
                hovertemplate=f"the smallest %{{x:.0%}} of creators have %{{y:.1%}} of the {name}"
                "<extra></extra>",
            )
        )
    figure.update_xaxes(title="creators, from the smallest", tickformat=".0%", range=[0, 1.005])
    figure.update_yaxes(title="share that they have", tickformat=".0%", range=[0, 1.01])
    return plain(figure, height=420)


def dates_plot(posted: Dates, captured: Dates) -> go.Figure:
    """Draw clips by month of posting and of capture."""
    figure = go.Figure()
    for name, dates, shade in (("posted", posted, BLUE), ("captured", captured, ORANGE)):
        if dates.known:
            figure.add_trace(
                go.Bar(
                    x=[f"{month}-01" for month in dates.months],
                    y=list(dates.months.values()),
                    name=name,
                    marker={"color": faint(shade, 0.75), "line": {"width": 0}},
                    hovertemplate=f"{name} in %{{x|%B %Y}}: %{{y}} clips<extra></extra>",
                )
            )
    months = sorted({*posted.months, *captured.months})
    figure.update_xaxes(type="date", title="month", tickformat="%b %Y")
    if len(months) < 6:
        figure.update_xaxes(tickvals=[f"{month}-01" for month in months])
    figure.update_layout(barmode="group")
    return _counting_clips(figure, top=34, showlegend=True)


def _bars_of_logs(histogram: Histogram, shade: str, written: Callable[[float], str]) -> go.Bar:
    edges = histogram.edges
    ends = [[written(10**low), written(10**high)] for low, high in _pairs(edges)]
    return go.Bar(
        x=_centres(edges),
        y=histogram.counts,
        width=_widths(edges),
        marker={"color": faint(shade, 0.75), "line": {"width": 0}},
        customdata=ends,
        hovertemplate="%{customdata[0]} to %{customdata[1]}: %{y} clips<extra></extra>",
    )


def _counting_clips(figure: go.Figure, *, top: int = 16, showlegend: bool = False) -> go.Figure:
    figure.update_yaxes(title="clips", rangemode="tozero", tickformat=",d")
    if max(clips for bar in figure.data for clips in bar.y) < FEW:
        figure.update_yaxes(dtick=1)  # there are no halves of clips
    drawn = plain(figure, height=HEIGHT, bargap=0.06, showlegend=showlegend)
    return drawn.update_layout(margin_t=top)


def _pairs(edges: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(edges))


def _centres(edges: Sequence[float]) -> list[float]:
    return [(low + high) / 2 for low, high in _pairs(edges)]


def _widths(edges: Sequence[float]) -> list[float]:
    return [0.94 * (high - low) for low, high in _pairs(edges)]
