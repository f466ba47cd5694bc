"""The lottery of worlds: planned, summed up, drawn."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.demo.factors import FACTORS as PLANTED
from tiktok_virality.demo.lottery import LotteryWorld, draw_world
from tiktok_virality.evaluation.splits import assign_splits
from tiktok_virality.execution import Resources, StageItem, StagePlan
from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.roles import role_of
from tiktok_virality.pipelines.reporting.comparisons import CHALLENGER
from tiktok_virality.pipelines.truth.findings import (
    FactorFound,
    LotteryFindings,
    MeanShare,
    PlayedWorld,
)
from tiktok_virality.pipelines.truth.means import mean_interval
from tiktok_virality.schema import digest
from tiktok_virality.training.parameters import LotteryParameters, TrainingParameters

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Plot
else:  # Kedro resolves the annotations when it reads the registry, which loads no plotly
    Plot = Any


def play_lottery(
    demo_clips: pd.DataFrame,
    manifest: pd.DataFrame,
    division: SplitParameters,
    transformer: TransformerConfig,
    training: TrainingParameters,
    fine_tuning: TrainingParameters,
    lottery: LotteryParameters,
    seed: int,
    **embeddings: StageTable,
) -> StagePlan:
    """Plan the training of all models in every drawn world, one world after the other.

    Args:
        demo_clips: What was planted in each clip.
        manifest: The same clips, as ingestion found them.
        division: How they are divided: one split is held out, for each world trains many models.
        transformer: Shape of every Transformer.
        training: How each is trained.
        fine_tuning: How the ensemble goes on.
        lottery: How many worlds.
        seed: Of noise, creators, weights and batches.
        **embeddings: Tokens of the clips, by modality.
    """
    from tiktok_virality.training.lineup import Recipe
    from tiktok_virality.training.lottery import WorldTrainer

    recipe = Recipe(transformer=transformer, training=training, fine_tuning=fine_tuning)
    worlds = [draw_world(lottery.seed, number) for number in range(lottery.worlds)]
    return StagePlan(
        items=[
            StageItem(
                video_id=world.name, digest=digest(world.model_dump(mode="json")), payload=world
            )
            for world in worlds
        ],
        transform=WorldTrainer(
            clips=demo_clips,
            manifest=manifest,
            splits=assign_splits(manifest, division, seed),
            tables=embeddings,
            recipe=recipe.in_one_process,
            seed=seed,
        ),
        batch_size=1,
        resources=Resources(limited=False),
    )


def summarise_lottery(lottery_worlds: StageTable, lottery: LotteryParameters) -> dict[str, Any]:
    """Say what share of the reachable R² every model finds, on average over the drawn worlds.

    Returns:
        `LotteryFindings` as JSON.
    """
    worlds = [
        _played(draw_world(lottery.seed, number), lottery_worlds)
        for number in range(lottery.worlds)
    ]
    ours = {world.world: world.shares[CHALLENGER] for world in worlds}
    models = [_mean_share(name, worlds, ours) for name in worlds[0].shares]
    findings = LotteryFindings(
        worlds=tuple(worlds),
        models=tuple(sorted(models, key=lambda each: -each.mean)),
        factors=tuple(_factors(worlds)),
        cost_of_noise=mean_interval([world.cost_of_noise for world in worlds]),
    )
    return findings.model_dump(mode="json")


def plot_lottery(lottery_findings: dict[str, Any] | None) -> Plot:
    """Draw the share of the reachable R² of every model in every drawn world.

    Args:
        lottery_findings: Of `summarise_lottery`; ``None`` where the lottery was not played, which
            gives an empty figure.
    """
    from tiktok_virality.pipelines.truth import figures

    return _drawn(figures.lottery_plot, lottery_findings)


def plot_factors(lottery_findings: dict[str, Any] | None) -> Plot:
    """Draw how much of the effect of every factor the ensemble finds.

    Args:
        lottery_findings: As for `plot_lottery`.
    """
    from tiktok_virality.pipelines.truth import figures

    return _drawn(figures.factors_plot, lottery_findings)


def _drawn(
    draw: Callable[[LotteryFindings], Plot], lottery_findings: dict[str, Any] | None
) -> Plot:
    import plotly.graph_objects as go

    if lottery_findings is None:
        return go.Figure()
    return draw(LotteryFindings.model_validate(lottery_findings))


def _played(world: LotteryWorld, table: StageTable) -> PlayedWorld:
    row = table.row(world.name)
    reachable = float(row["reachable"])
    r2 = {score["model"]: float(score["r2"]) for score in row["scores"]}
    return PlayedWorld(
        world=world.name,
        rule=", ".join(
            f"{' x '.join(cause.factors)} ({cause.shape}, {100 * cause.share:.0f} %)"
            for cause in world.causes
        ),
        reachable=reachable,
        shares={name: value / reachable for name, value in r2.items()},
        modalities={score["model"]: score["modality"] for score in row["scores"]},
        found=tuple((tuple(each["factors"]), float(each["slope"])) for each in row["found"]),
        cost_of_noise=r2[CHALLENGER] - float(row["r2_with_noise"]),
    )


def _mean_share(model: str, worlds: Sequence[PlayedWorld], ours: Mapping[str, float]) -> MeanShare:
    shares = [world.shares[model] for world in worlds]
    gains = [ours[world.world] - world.shares[model] for world in worlds]
    mean, gain = mean_interval(shares), mean_interval(gains)
    return MeanShare(
        model=model,
        role=role_of(model),
        modality=worlds[0].modalities[model],
        mean=mean[0],
        low=mean[1],
        high=mean[2],
        gain=gain[0],
        gain_low=gain[1],
        gain_high=gain[2],
    )


def _factors(worlds: Sequence[PlayedWorld]) -> list[FactorFound]:
    """Return, by factor, how much of its effects was found where it counted by itself or in two."""
    slopes: dict[str, list[float]] = {}
    for world in worlds:
        for factors, slope in world.found:
            for name in factors:
                if math.isfinite(slope):
                    slopes.setdefault(name, []).append(slope)
    return sorted(
        (
            FactorFound(
                factor=name,
                title=PLANTED[name].title,
                sense=PLANTED[name].sense,
                worlds=len(found),
                slope=statistics.fmean(found),
            )
            for name, found in slopes.items()
        ),
        key=lambda each: -each.slope,
    )
