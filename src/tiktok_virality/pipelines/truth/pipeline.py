"""The wiring of the truth benchmark: every world trains, compares and measures on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kedro.pipeline import Node, Pipeline, node, pipeline

from tiktok_virality.demo.config import World
from tiktok_virality.modalities import MODALITIES
from tiktok_virality.pipelines import modeling, reporting
from tiktok_virality.pipelines.truth import lottery, nodes
from tiktok_virality.pipelines.truth.worlds import TRUTH_WORLDS

SHARED: Final = ("demo_clips", "splits", "novelty", "checkpoints")
"""What all worlds have in common, besides the tokens: only the views differ."""

LOTTERY: Final = "lottery"
"""Namespace and tag of the drawn worlds."""

MEASURED: Final = ("predictions", "coverage", "split_sensitivity")


def create_pipeline(modalities: Sequence[str] = tuple(MODALITIES), **kwargs: Any) -> Pipeline:
    """Make ``truth`` and its page from a planted corpus whose clips are embedded.

    Every world is a namespace and a tag: ``--tags interaction`` runs one of them, and renews the
    page with what is there of the others.

    Args:
        modalities: Those that take part.
        **kwargs: Not used.
    """
    unlike = modeling.create_pipeline(modalities).to_outputs("novelty")
    return pipeline(
        [
            *(_world(name, modalities) for name in TRUTH_WORLDS),
            _lottery(modalities),
            pipeline([unlike, *_conclusion()], tags=[*TRUTH_WORLDS, LOTTERY]),
        ],
        tags="truth",
    )


def _world(name: World, modalities: Sequence[str]) -> Pipeline:
    """Return what is trained and measured in one world: the nodes of modeling and reporting."""
    trained = modeling.create_pipeline(modalities)
    common = trained.to_outputs("novelty")
    everything = pipeline(
        [
            node(
                nodes.planting(name),
                inputs=["demo_clips", "params:seed"],
                outputs="planted_clips",
                name="plant_world",
                tags="cpu",
            ),
            node(
                nodes.replace_views,
                inputs=["corpus_manifest", "planted_clips"],
                outputs="manifest",
                name="replace_views",
                tags="cpu",
            ),
            pipeline(trained.to_outputs("model_input"), outputs={"model_input": "assembled_clips"}),
            node(
                nodes.label_clips,
                inputs=["assembled_clips", "planted_clips"],
                outputs="model_input",
                name="label_clips",
                namespace="modeling",
                tags="cpu",
            ),
            trained.to_outputs(*MEASURED) - common,
            node(
                nodes.add_planted_rows,
                inputs=[
                    *("predictions", "planted_clips", "manifest", "splits"),
                    *("params:modeling.target", "params:seed"),
                ],
                outputs="judged_predictions",
                name="add_planted_rows",
                tags="cpu",
            ),
            pipeline(
                reporting.create_pipeline(modalities).to_outputs("leaderboard", "comparisons"),
                inputs={"predictions": "judged_predictions"},
            ),
            node(
                nodes.summarise_world,
                inputs=[
                    *("planted_clips", "leaderboard", "comparisons"),
                    *("coverage", "split_sensitivity"),
                ],
                outputs="findings",
                name="summarise_world",
                tags="cpu",
            ),
        ]
    )
    return pipeline(
        everything,
        namespace=name,
        inputs={
            "corpus_manifest": "manifest",
            **{shared: shared for shared in SHARED},
            **{f"{each}_embeddings": f"{each}_embeddings" for each in modalities},
        },
        outputs={"findings": f"{name}_findings"},
        parameters={each for each in everything.inputs() if each.startswith("params:")},
        tags=name,
    )


def _lottery(modalities: Sequence[str]) -> Pipeline:
    """Return what is trained and measured in worlds that nobody has looked at."""
    return pipeline(
        [
            node(
                lottery.play_lottery,
                inputs={
                    **{name: name for name in ("demo_clips", "manifest")},
                    "division": "params:ingestion.splits",
                    **{n: f"params:modeling.{n}" for n in ("transformer", "training")},
                    "fine_tuning": "params:modeling.fine_tuning",
                    "lottery": "params:lottery",
                    "seed": "params:seed",
                    **{name: f"{name}_embeddings" for name in modalities},
                },
                outputs="lottery_worlds",
                name="play_lottery",
                tags=["cpu", "training"],
            ),
            node(
                lottery.summarise_lottery,
                inputs=["lottery_worlds", "params:lottery"],
                outputs="lottery_findings",
                name="summarise_lottery",
                tags="cpu",
            ),
        ],
        namespace=LOTTERY,
        prefix_datasets_with_namespace=False,
        tags=LOTTERY,
    )


def _conclusion() -> list[Node]:
    """Return what brings the worlds together, ending in the page."""
    return [
        node(
            nodes.summarise_truth,
            inputs={name: f"{name}_findings" for name in TRUTH_WORLDS},
            outputs="truth",
            name="summarise_truth",
            tags="cpu",
        ),
        node(nodes.plot_reached, inputs="truth", outputs="reached_plot", tags="cpu"),
        node(nodes.plot_leak, inputs="truth", outputs="leak_plot", tags="cpu"),
        node(lottery.plot_lottery, inputs="lottery_findings", outputs="lottery_plot", tags="cpu"),
        node(lottery.plot_factors, inputs="lottery_findings", outputs="factors_plot", tags="cpu"),
        node(
            nodes.write_truth_page,
            inputs=[
                *("truth", "lottery_findings"),
                *("reached_plot", "leak_plot", "lottery_plot", "factors_plot"),
            ],
            outputs="truth_page",
            name="write_truth_page",
            tags="cpu",
        ),
    ]
