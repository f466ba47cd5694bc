"""The wiring of the reporting pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kedro.pipeline import Node, Pipeline, node, pipeline

from tiktok_virality.pipelines.reporting import nodes

TARGET = "params:modeling.target"
SETTINGS = ["params:reporting", "params:seed"]
REPORTED = (
    *("verdict", "leaderboard", "comparisons", "corpus_summary", "training_summary"),
    *("clip_sample", "reconstructions", "coverage", "novelty_evidence", "split_sensitivity"),
    "parameters",
)
PLOTS = (
    *("leaderboard_plot", "comparisons_plot", "actual_vs_predicted_plot", "ensemble_loss_plot"),
    *("autoencoder_loss_plot", "coverage_plot", "novelty_plot", "split_sensitivity_plot"),
)


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``leaderboard``, ``comparisons``, ``verdict``, the figures and ``report``."""
    return pipeline(
        [*_findings(), *_figures(), _report()],
        namespace="reporting",
        prefix_datasets_with_namespace=False,
        tags=["reporting", "cpu"],
    )


def _findings() -> list[Node]:
    return [
        node(
            nodes.build_leaderboard,
            inputs=["predictions", "manifest", "splits", TARGET, *SETTINGS],
            outputs="leaderboard",
            name="build_leaderboard",
        ),
        node(
            nodes.compare_models,
            inputs=["predictions", "manifest", *SETTINGS],
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
            inputs=[
                *("manifest", "rejected_videos", "splits"),
                *("frames", "audio_embeddings", "ground_truth"),
            ],
            outputs="corpus_summary",
            name="summarise_corpus",
        ),
        node(
            nodes.summarise_training,
            inputs=["autoencoder", "visual_model", "audio_model", "early_fusion", "ensemble"],
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


def _figures() -> list[Node]:
    drawn: dict[Callable[..., Any], tuple[list[str], str]] = {
        nodes.plot_leaderboard: (["leaderboard", "verdict", TARGET], "leaderboard_plot"),
        nodes.plot_comparisons: (["comparisons"], "comparisons_plot"),
        nodes.plot_actual_vs_predicted: (
            ["predictions", "verdict", TARGET, "params:seed"],
            "actual_vs_predicted_plot",
        ),
        nodes.plot_ensemble_loss: (["training_summary"], "ensemble_loss_plot"),
        nodes.plot_autoencoder_loss: (["training_summary"], "autoencoder_loss_plot"),
        nodes.plot_coverage: (["coverage"], "coverage_plot"),
        nodes.plot_novelty: (["novelty_evidence"], "novelty_plot"),
        nodes.plot_split_sensitivity: (["split_sensitivity"], "split_sensitivity_plot"),
        nodes.draw_reconstructions: (["reconstructions"], "reconstructions_picture"),
        nodes.draw_clip_sample: (["clip_sample", TARGET], "clip_sample_picture"),
    }
    return [
        node(function, inputs=inputs, outputs=output)
        for function, (inputs, output) in drawn.items()
    ]


def _report() -> Node:
    return node(
        nodes.write_report,
        inputs={
            **{name: name for name in REPORTED},
            **{name: name for name in PLOTS},
            "target": TARGET,
        },
        outputs="report",
        name="write_report",
    )
