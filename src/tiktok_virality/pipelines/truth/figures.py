"""The figures of the benchmark's page."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tiktok_virality.demo.senses import sense_of
from tiktok_virality.pipelines.reporting.palette import GREY, SERIES, colour, faint
from tiktok_virality.pipelines.reporting.plots import FONT, TEXT, bars_of_error, panels, plain
from tiktok_virality.pipelines.reporting.wording import REGIMES, label, number
from tiktok_virality.pipelines.truth.findings import (
    Leak,
    LotteryFindings,
    ModelScore,
    WorldFindings,
)
from tiktok_virality.pipelines.truth.planted import BOOSTING, CEILINGS

COLUMNS: Final = 2
ROW_PIXELS: Final = 19
DRAWN_ROLES: Final = ("baseline", "variant", "modality", "ensemble", "planted")
"""Order of models that know the same; constants are not drawn."""

SIZES: Final[Mapping[str, int]] = {"ensemble": 11, "planted": 10}
"""Of marks, in pixels, by role; all others are smaller."""
LOWEST_SHARE: Final = -0.5
LOWEST_R2: Final = -0.5
"""Nobody asks how much worse than this a model is; its mark stands at the edge."""

LINE: Final = "#c2410c"
STRATEGIES: Final = ("random", "group")
SPLIT_BY: Final = {"random": "split at random", "group": "split by creator"}


def reached_plot(worlds: Sequence[WorldFindings]) -> go.Figure:
    """Draw R² of every model with its interval beside what its modality allows, a panel per world.

    Models stand in the same order in all panels: those that see, those that hear, those that do
    both, and those that know neither.
    """
    models = _in_groups(worlds)
    columns = max(1, min(COLUMNS, len(worlds)))
    rows = max(1, -(-len(worlds) // columns))
    figure = make_subplots(
        rows=rows,
        cols=columns,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        vertical_spacing=0.16 / rows,
        subplot_titles=[each.world for each in worlds],
    )
    figure.update_annotations(font={"family": FONT, "size": 14, "color": TEXT})
    for at, findings in enumerate(worlds):
        place = {"row": at // columns + 1, "col": at % columns + 1}
        for trace in (*_ceilings(findings, models), _marks(findings, models)):
            figure.add_trace(trace, **place)
        figure.update_xaxes(showticklabels=True, **place)
    least = min((_least(score) for each in worlds for score in each.scores), default=0.0)
    figure.update_xaxes(range=[max(LOWEST_R2, least) - 0.04, 1.02], tickformat=".1f")
    figure.update_xaxes(title="R² on the test split", row=rows)
    figure.update_yaxes(
        tickvals=[-index for index in range(len(models))],
        ticktext=[label(model) for model in models],
        range=[0.6 - len(models), 0.6],
        automargin=True,
        ticksuffix="  ",
        tickfont_size=11,
    )
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    height = 120 + rows * (60 + ROW_PIXELS * len(models))
    plain(figure, height=height, showlegend=False)
    return figure.update_layout(margin_t=36)


def leak_plot(worlds: Sequence[WorldFindings]) -> go.Figure:
    """Draw R² of the same models under a random split and one by creator, in every world.

    A small dot per redrawing and a large one for their mean; what models may know parts the panels.
    """
    drawn = [(each.world, leak) for each in worlds for leak in each.leaks]
    regimes = [name for name in REGIMES if any(leak.regime == name for _, leak in drawn)]
    figure, height = go.Figure(), 160
    if regimes:
        names = [each.world for each in worlds]
        height = 110 + len(regimes) * (48 + 34 * len(names))
        figure = panels([REGIMES[name] for name in regimes], [len(names)] * len(regimes), height)
        for at, regime in enumerate(regimes, start=1):
            mine = [(world, leak) for world, leak in drawn if leak.regime == regime]
            for trace in _redrawn(mine, names, first=at == 1):
                figure.add_trace(trace, row=at, col=1)
        figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dash"})
        figure.update_yaxes(
            tickvals=[-index for index in range(len(names))],
            ticktext=names,
            range=[0.6 - len(names), 0.6],
            automargin=True,
            ticksuffix="  ",
        )
        figure.update_xaxes(title="R² on the test split", row=len(regimes), col=1)
    plain(figure, height=height)
    return figure.update_layout(legend_y=1 + 30 / (height - 68))


def _in_groups(worlds: Sequence[WorldFindings]) -> list[str]:
    """Return the models to draw: by what they know of a clip, the ensemble last among its like."""
    order = [*map(str, CEILINGS), "metadata", "none"]
    known: dict[str, ModelScore] = {}
    for score in (score for each in worlds for score in each.scores):
        if score.role in DRAWN_ROLES and score.model not in CEILINGS.values():
            known.setdefault(score.model, score)
    return sorted(
        known,
        key=lambda name: (
            name == BOOSTING,
            order.index(sense_of(known[name].modality)),
            DRAWN_ROLES.index(known[name].role),
            name,
        ),
    )


def _ceilings(findings: WorldFindings, models: Sequence[str]) -> Iterator[go.Scatter]:
    """Yield a line at the reachable R² by each sense, along the models that have it."""
    for sense, reachable in findings.reachable.items():
        rows = [
            index
            for index, model in enumerate(models)
            for score in findings.scores
            if score.model == model and sense_of(score.modality) == sense
            if score.regime == "content"
        ]
        if rows:
            yield go.Scatter(
                mode="lines",
                x=[reachable, reachable],
                y=[0.45 - min(rows), -0.45 - max(rows)],
                line={"color": LINE, "width": 2.5},
                hovertemplate=f"reachable from {sense}: "
                f"{number(reachable, 3)}<extra>{findings.world}</extra>",
            )


def _marks(findings: WorldFindings, models: Sequence[str]) -> go.Scatter:
    by_name = {score.model: score for score in findings.scores}
    here = [(index, by_name[model]) for index, model in enumerate(models) if model in by_name]
    values = [max(LOWEST_R2, score.r2) for _, score in here]
    return go.Scatter(
        mode="markers",
        x=values,
        y=[-index for index, _ in here],
        marker={
            "size": [SIZES.get(score.role, 7) for _, score in here],
            "opacity": 1,
            "color": [colour(score.model) for _, score in here],
            "symbol": ["diamond" if score.regime == "planted" else "circle" for _, score in here],
        },
        error_x=bars_of_error(
            values, [score.r2_low for _, score in here], [score.r2_high for _, score in here], TEXT
        ),
        customdata=[[label(score.model), _said(score)] for _, score in here],
        hovertemplate="%{customdata[0]}: %{customdata[1]}<extra>" + findings.world + "</extra>",
    )


def _said(score: ModelScore) -> str:
    interval = (
        "no interval"
        if score.r2_low is None
        else f"from {number(score.r2_low, 3)} to {number(score.r2_high, 3)}"
    )
    said = f"{number(score.r2, 3)}<br>{interval}"
    if score.r2_sd is not None:
        said += f"<br>mean of {score.seeds} seeds: {number(score.r2_mean, 3)}"
    return said


def _least(score: ModelScore) -> float:
    return score.r2 if score.r2_low is None else score.r2_low


def _redrawn(
    leaks: Sequence[tuple[str, Leak]], names: Sequence[str], *, first: bool
) -> Iterator[go.Scatter]:
    """Yield the small dots of all redrawings and the large ones of their means, by strategy."""
    for strategy, shade, shift in zip(STRATEGIES, SERIES[1::-1], (0.15, -0.15), strict=True):
        points: Mapping[int, list[tuple[float, float, str]]] = {6: [], 12: []}
        for world, leak in leaks:
            values = getattr(leak, strategy)
            y = shift - names.index(world)
            points[6].extend((value, y, leak.model) for value in values)
            if values:
                points[12].append((statistics.fmean(values), y, leak.model))
        for size, mine in points.items():
            yield go.Scatter(
                mode="markers",
                x=[x for x, _, _ in mine],
                y=[y for _, y, _ in mine],
                name=SPLIT_BY[strategy],
                legendgroup=strategy,
                showlegend=first and size > 6,
                marker={"color": faint(shade, 1 if size > 6 else 0.45), "size": size},
                text=[label(model) for _, _, model in mine],
                hovertemplate=f"%{{text}}, {SPLIT_BY[strategy]}: %{{x:.3f}}<extra></extra>",
            )


def lottery_plot(findings: LotteryFindings) -> go.Figure:
    """Draw a row for every model: a small dot for each drawn world, a large one for their mean."""
    rows = [each for each in findings.models if each.role != "constant"]
    places = {each.model: -index for index, each in enumerate(rows)}
    figure = go.Figure()
    for each in rows:
        shade = colour(each.model)
        values = [max(LOWEST_SHARE, world.shares[each.model]) for world in findings.worlds]
        figure.add_scatter(
            mode="markers",
            x=values,
            y=[places[each.model]] * len(values),
            marker={"color": faint(shade, 0.35), "size": 6},
            text=[f"{world.world}: {world.rule}" for world in findings.worlds],
            hovertemplate="%{text}<br>%{x:.2f} of the reachable R²<extra></extra>",
        )
        figure.add_scatter(
            mode="markers",
            x=[each.mean],
            y=[places[each.model]],
            marker={
                "color": shade,
                "size": 12,
                "symbol": "diamond" if each.role == "planted" else "circle",
            },
            error_x=bars_of_error([each.mean], [each.low], [each.high], TEXT),
            hovertemplate=f"{label(each.model)}: {number(each.mean)} "
            f"({number(each.low)} to {number(each.high)})<extra></extra>",
        )
    figure.add_vline(x=0, line={"color": GREY, "width": 1, "dash": "dot"})
    figure.add_vline(x=1, line={"color": LINE, "width": 2})
    figure.update_yaxes(
        tickvals=list(places.values()),
        ticktext=[label(model) for model in places],
        range=[0.6 - len(rows), 0.6],
        automargin=True,
        ticksuffix="  ",
    )
    figure.update_xaxes(title="share of the reachable R² on the test split")
    return plain(figure, height=110 + 30 * len(rows), showlegend=False)


def factors_plot(findings: LotteryFindings) -> go.Figure:
    """Draw how far the ensemble's predictions go along with the effect of every factor."""
    rows = findings.factors
    shades = dict(zip(dict.fromkeys(each.sense for each in rows), SERIES, strict=False))
    figure = go.Figure()
    for sense, shade in shades.items():
        mine = [(index, each) for index, each in enumerate(rows) if each.sense == sense]
        figure.add_bar(
            orientation="h",
            x=[each.slope for _, each in mine],
            y=[-index for index, _ in mine],
            name=sense,
            marker_color=shade,
            text=[f"{each.worlds}" for _, each in mine],
            hovertemplate="%{x:.2f} of the effect, in %{text} worlds<extra></extra>",
        )
    figure.add_vline(x=1, line={"color": LINE, "width": 2})
    figure.update_yaxes(
        tickvals=[-index for index in range(len(rows))],
        ticktext=[each.title for each in rows],
        range=[0.6 - len(rows), 0.6],
        automargin=True,
        ticksuffix="  ",
    )
    figure.update_xaxes(title="share of the effect that predictions go along with")
    return plain(figure, height=110 + 26 * len(rows), barmode="overlay")
