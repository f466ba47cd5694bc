"""The nodes of the truth benchmark: plant worlds, add who is shown the truth, say who found it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from tiktok_virality.demo.config import World
from tiktok_virality.demo.planting import format_count, plant_views
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.pipelines.ingestion.counts import parse_counts
from tiktok_virality.pipelines.reporting.evidence import read_coverage, read_split_sensitivity
from tiktok_virality.pipelines.truth import checks, planted, scores
from tiktok_virality.pipelines.truth.findings import (
    LotteryFindings,
    TruthFindings,
    WorldFindings,
    read_findings,
)
from tiktok_virality.schema import DataError
from tiktok_virality.training.corpus import ModelInput

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Plot
else:  # Kedro resolves the annotations when it reads the registry, which loads no plotly
    Plot = Any


def planting(world: World) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    """Return the node that gives clips the views of a world."""

    def plant_world(demo_clips: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Return the clips with the effects and views of the world, its name under ``world``."""
        return plant_views(demo_clips, world, seed).assign(world=world)

    return plant_world


def replace_views(manifest: pd.DataFrame, planted_clips: pd.DataFrame) -> pd.DataFrame:
    """Return the manifest with the views of a world, rounded as the app shows them.

    Args:
        manifest: Of the corpus.
        planted_clips: The clips as they are in the world.

    Raises:
        DataError: A clip of the manifest was not planted.
    """
    shown = parse_counts(planted_clips["views"].map(format_count))["count"]
    views = manifest["video_id"].map(dict(zip(planted_clips["video_id"], shown, strict=True)))
    strangers = manifest.loc[views.isna(), "video_id"]
    if len(strangers):
        raise DataError(
            f"{len(strangers)} clips of the manifest were not planted, such as "
            f"{strangers.iloc[0]!r}: nobody knows their truth. The benchmark needs a corpus of its "
            "own: run it as `kedro run --env truth`, and remove other videos from its folder."
        )
    return manifest.assign(views=views.astype("int64"))


def label_clips(assembled_clips: ModelInput, planted_clips: pd.DataFrame) -> ModelInput:
    """Write the name of the world on the clips, so that trainings of two worlds differ by name."""
    return dataclasses.replace(assembled_clips, label=planted.world_of(planted_clips))


def add_planted_rows(
    predictions: pd.DataFrame,
    planted_clips: pd.DataFrame,
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    target: TargetParameters,
    seed: int,
) -> pd.DataFrame:
    """Add what models would predict that are shown the planted factors.

    Returns:
        The predictions, then those of ``planted_picture``, ``planted_sound`` and ``planted_both``
        (all that a model of that sense can know) and of ``planted_boosting`` (gradient boosting
        that learned from the true factors), with the main seed.

    Raises:
        DataError: The target is not log views, or a predicted clip was not planted.
    """
    if target.kind != "log_views":
        raise DataError(
            f"The truth benchmark knows what is reachable of log views, and modeling.target.kind "
            f"is {target.kind!r}: set it to log_views."
        )
    return pd.concat(
        [predictions, planted.planted_rows(predictions, planted_clips, manifest, splits, seed)],
        ignore_index=True,
    )


def summarise_world(
    planted_clips: pd.DataFrame,
    leaderboard: list[dict[str, Any]],
    comparisons: list[dict[str, Any]],
    coverage: dict[str, Any] | None,
    split_sensitivity: list[dict[str, Any]] | None,
) -> dict[str, Any]:
    """Say what each model reached in a world and could have, and whether that is as it must be.

    Returns:
        `WorldFindings` as JSON.

    Raises:
        DataError: A model is missing, or what was measured is broken.
    """
    world = planted.world_of(planted_clips)
    reached = scores.held_out_scores(leaderboard, world)
    gains = scores.gains_of_ensemble(comparisons)
    findings = WorldFindings(
        world=world,
        clips=comparisons[0]["n"],
        creators=comparisons[0]["clusters"],
        reachable=scores.reachable_r2(reached),
        scores=reached,
        gains=tuple(gain for gain in gains if gain.role in scores.MUST_BEAT),
        variants=tuple(gain for gain in gains if gain.role == scores.VARIANT),
        coverage=scores.coverage_of_intervals(read_coverage(coverage)),
        leaks=scores.leaks_of(read_split_sensitivity(split_sensitivity)),
        checks=(),
    )
    judged = findings.model_copy(update={"checks": checks.checks_of(findings)})
    return judged.model_dump(mode="json")


def summarise_truth(**worlds: Mapping[str, Any] | None) -> dict[str, Any]:
    """Bring together what the worlds show.

    Args:
        **worlds: Findings by world; ``None`` for one that was not run yet.

    Returns:
        `TruthFindings` as JSON.
    """
    found = [
        read_findings(WorldFindings, raw, f"{name}_findings")
        for name, raw in worlds.items()
        if raw is not None
    ]
    coverage = scores.mean_coverage([each.coverage for each in found])
    together = TruthFindings(
        worlds=tuple(found),
        missing=tuple(name for name, raw in worlds.items() if raw is None),
        coverage=coverage,
        checks=(checks.coverage_holds(coverage),),
    )
    return together.model_dump(mode="json")


def plot_reached(truth: dict[str, Any]) -> Plot:
    """Draw what every model reached in every world beside what was reachable."""
    from tiktok_virality.pipelines.truth import figures

    return figures.reached_plot(_read(truth).worlds)


def plot_leak(truth: dict[str, Any]) -> Plot:
    """Draw what a random split would add to the scores in every world."""
    from tiktok_virality.pipelines.truth import figures

    return figures.leak_plot(_read(truth).worlds)


def write_truth_page(
    truth: dict[str, Any],
    lottery_findings: dict[str, Any] | None,
    reached_plot: Plot,
    leak_plot: Plot,
    lottery_plot: Plot,
    factors_plot: Plot,
) -> str:
    """Write the benchmark as one page of HTML that needs nothing but itself.

    Without `lottery_findings`, the page is of the fixed worlds alone.
    """
    from tiktok_virality.pipelines.truth import page

    plots = {
        "reached": reached_plot,
        "leak": leak_plot,
        "lottery": lottery_plot,
        "factors": factors_plot,
    }
    drawn = (
        None
        if lottery_findings is None
        else read_findings(LotteryFindings, lottery_findings, "lottery_findings")
    )
    return page.render(_read(truth), drawn, plots)


def _read(truth: dict[str, Any]) -> TruthFindings:
    return read_findings(TruthFindings, truth, "truth")
