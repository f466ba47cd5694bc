"""The figure of the frame-skip study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tiktok_virality.pipelines.reporting.palette import GREY
from tiktok_virality.pipelines.reporting.plots import CLEAR, FONT, GRID, TEXT
from tiktok_virality.pipelines.study.finding import errors

COLOURS: Final = ("#2f7fc1", "#d9822b", "#2a9d6f", "#9a6fb8", "#b0574f")
AUTOENCODER: Final = ("autoencoder", {"dash": "solid", "width": 2.5})
MEAN_PICTURE: Final = ("mean picture", {"dash": "dot", "width": 1.2})
PANELS: Final = (
    ("own_error", "own_mean_error", "each on its own frames"),
    ("common_error", "mean_error", "all on the same frames, in sequence"),
    ("alone_error", "mean_error", "all on the same frames, one by one"),
)


def frame_study_plot(rows: Sequence[Mapping[str, Any]]) -> go.Figure:
    """Draw the error by stride, one line per shrink factor; bars span the seeds.

    Args:
        rows: Of the study.
    """
    figure = make_subplots(
        cols=len(PANELS),
        shared_yaxes=True,
        horizontal_spacing=0.03,
        subplot_titles=[title for _, _, title in PANELS],
    )
    strides = sorted({row["every_nth"] for row in rows}, reverse=True)
    shrinks = sorted({row["shrink"] for row in rows}, reverse=True)
    for column, (drawn, constant, _) in enumerate(PANELS, start=1):
        for place, shrink in enumerate(shrinks):
            colour = COLOURS[place % len(COLOURS)]
            for key, name, line in ((drawn, *AUTOENCODER), (constant, *MEAN_PICTURE)):
                trace = _course(rows, key, strides, shrink)
                trace.update(
                    name=f"{name}, shrink {shrink}",
                    legendgroup=f"{name} {shrink}",
                    showlegend=column == 1,
                    line={"color": colour, **line},
                )
                figure.add_trace(trace, row=1, col=column)
    return _dressed(figure, strides)


def _course(
    rows: Sequence[Mapping[str, Any]], key: str, strides: Sequence[int], shrink: int
) -> go.Scatter:
    by_stride = [errors(rows, key, stride, shrink) for stride in strides]
    means = [float(each.mean()) for each in by_stride]
    return go.Scatter(
        x=[str(stride) for stride in strides],
        y=means,
        mode="lines" if key.endswith("mean_error") else "lines+markers",
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [float(e.max()) - m for e, m in zip(by_stride, means, strict=True)],
            "arrayminus": [m - float(e.min()) for e, m in zip(by_stride, means, strict=True)],
            "thickness": 1.4,
            "width": 4,
        },
        hovertemplate="every %{x}: %{y:.5f}<extra>%{fullData.name}</extra>",
    )


def _dressed(figure: go.Figure, strides: Sequence[int]) -> go.Figure:
    axis = {"gridcolor": GRID, "zeroline": False, "linecolor": GREY}
    figure.update_xaxes(
        type="category",
        categoryarray=[str(each) for each in strides],
        title="every nth frame",
        **axis,
    )
    figure.update_yaxes(rangemode="tozero", **axis)
    figure.update_yaxes(title="mean squared error, values in [0, 1]", col=1)
    figure.update_annotations(font={"size": 13, "color": TEXT})
    return figure.update_layout(
        template="none",
        height=430,
        font={"family": FONT, "size": 13, "color": TEXT},
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        margin={"l": 72, "r": 16, "t": 84, "b": 52},
        legend={"orientation": "h", "x": 0, "y": 1.12, "yanchor": "bottom", "bgcolor": CLEAR},
    )
