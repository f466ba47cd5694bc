"""The wiring of the reporting pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from kedro.pipeline import Node, Pipeline, node, pipeline

from tiktok_virality.modalities import MODALITIES, PUBLISHED, PUBLISHED_TABLES
from tiktok_virality.pipelines.reporting import explained, nodes

TARGET = "params:modeling.target"
SETTINGS = ["params:reporting", "params:seed"]
REPORTED = (
    *("verdict", "leaderboard", "comparisons", "corpus_summary", "training_summary"),
    *("clip_sample", "clip_explanations", "coverage", "novelty_evidence", "split_sensitivity"),
    *("predictions", "parameters"),
)
PLOTS = (
    *("leaderboard_plot", "comparisons_plot", "actual_vs_predicted_plot", "ensemble_loss_plot"),
    *("coverage_plot", "novelty_plot", "split_sensitivity_plot"),
)
DRAWN_OF: dict[str, tuple[Callable[..., Any], str, str]] = {
    "autoencoder": (nodes.plot_autoencoder_loss, "training_summary", "autoencoder_loss_plot"),
    "reconstructions": (
        nodes.draw_reconstructions,
        "reconstructions",
        "reconstructions_picture",
    ),
}
"""How each model or exhibit of a modality is drawn: the node, what it reads, what it makes."""


def create_pipeline(
    modalities: Sequence[str] = tuple(MODALITIES), *, published: bool = False, **kwargs: Any
) -> Pipeline:
    """Make ``leaderboard``, ``comparisons``, ``verdict``, the figures and ``report``.

    Args:
        modalities: Those that take part.
        published: Whether the published models do, with the figures and Table 2 of the paper.
        **kwargs: Not used.
    """
    models = [name for each in modalities for name in MODALITIES[each].models]
    exhibits = [name for each in modalities for name in MODALITIES[each].exhibits]
    alone = [*modalities, *((*PUBLISHED_TABLES, PUBLISHED) if published else ())]
    return pipeline(
        [
            *_findings(modalities, models, alone),
            *_explained(modalities),
            *(_published() if published else ()),
            *_figures([*models, *exhibits]),
            _report(exhibits, models),
        ],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
        tags=["reporting", "cpu"],
    )


def _findings(modalities: Sequence[str], models: Sequence[str], alone: Sequence[str]) -> list[Node]:
    return [
        node(
            nodes.build_leaderboard,
            inputs=["predictions", "manifest", "splits", TARGET, *SETTINGS],
            outputs="leaderboard",
            name="build_leaderboard",
        ),
        node(
            nodes.compare_models,
            inputs=["leaderboard", "predictions", "manifest", *SETTINGS],
            outputs="comparisons",
            name="compare_models",
        ),
        node(
            nodes.judge_ensemble,
            inputs=["leaderboard", "comparisons", "params:reporting"],
            outputs="verdict",
            name="judge_ensemble",
        ),
        node(
            nodes.summarise_corpus,
            inputs={
                **{n: n for n in ("manifest", "rejected_videos", "splits", "ground_truth")},
                **{name: f"{name}_embeddings" for name in modalities},
            },
            outputs="corpus_summary",
            name="summarise_corpus",
        ),
        node(
            nodes.summarise_training,
            inputs={
                **{name: name for name in models},
                **{name: f"{name}_model" for name in alone},
                **{name: name for name in ("early_fusion", "ensemble")},
            },
            outputs="training_summary",
            name="summarise_training",
        ),
        node(
            nodes.sample_held_out_clips,
            inputs=[
                *("predictions", "verdict", "manifest", "transcripts", "videos"),
                *(TARGET, *SETTINGS),
            ],
            outputs="clip_sample",
            name="sample_held_out_clips",
            tags="media",
        ),
    ]


def _explained(modalities: Sequence[str]) -> list[Node]:
    return [
        node(
            explained.explain_held_out_clips,
            inputs={
                **{n: n for n in ("predictions", "verdict", "manifest", "frames")},
                **{n: n for n in ("ensemble", "novelty_model")},
                **{name: f"{name}_embeddings" for name in modalities},
                "target": TARGET,
                "reporting": "params:reporting",
                "seed": "params:seed",
            },
            outputs="clip_explanations",
            name="explain_held_out_clips",
        ),
        node(
            explained.write_clips_page,
            inputs={
                **{n: n for n in ("clip_explanations", "predictions", "verdict")},
                **{n: n for n in ("manifest", "splits")},
                "target": TARGET,
                "seed": "params:seed",
            },
            outputs="clips_page",
            name="write_clips_page",
        ),
    ]


def _published() -> list[Node]:
    return [
        node(
            nodes.tabulate_published,
            inputs=["leaderboard", "predictions", "params:seed"],
            outputs="published_table",
            name="tabulate_published",
        ),
        node(
            nodes.draw_published,
            inputs=["training_summary", "predictions", "verdict", TARGET, "params:seed"],
            outputs="published_picture",
            name="draw_published",
        ),
    ]


def _figures(of_modalities: Sequence[str]) -> list[Node]:
    drawn: dict[Callable[..., Any], tuple[list[str], str]] = {
        nodes.plot_leaderboard: (["leaderboard", "verdict", TARGET], "leaderboard_plot"),
        nodes.plot_comparisons: (["comparisons"], "comparisons_plot"),
        nodes.plot_actual_vs_predicted: (
            ["predictions", "verdict", TARGET, "params:seed"],
            "actual_vs_predicted_plot",
        ),
        nodes.plot_ensemble_loss: (["training_summary"], "ensemble_loss_plot"),
        nodes.plot_coverage: (["coverage"], "coverage_plot"),
        nodes.plot_novelty: (["novelty_evidence"], "novelty_plot"),
        nodes.plot_split_sensitivity: (["split_sensitivity"], "split_sensitivity_plot"),
        nodes.draw_clip_sample: (["clip_sample", TARGET], "clip_sample_picture"),
    }
    for name in (name for name in of_modalities if name in DRAWN_OF):
        function, source, output = DRAWN_OF[name]
        drawn[function] = ([source], output)
    return [
        node(function, inputs=inputs, outputs=output)
        for function, (inputs, output) in drawn.items()
    ]


def _report(exhibits: Sequence[str], models: Sequence[str]) -> Node:
    losses = [f"{name}_loss_plot" for name in models if name in DRAWN_OF]
    return node(
        nodes.write_report,
        inputs={
            **{name: name for name in REPORTED},
            **{name: name for name in (*PLOTS, *losses, *exhibits)},
            "target": TARGET,
            "seed": "params:seed",
        },
        outputs="report",
        name="write_report",
    )
