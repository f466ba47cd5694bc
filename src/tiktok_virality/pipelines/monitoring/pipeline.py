"""The wiring of monitoring."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.monitoring import nodes


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``outcomes``, ``monitoring`` and its figure, of clips that were posted since."""
    return pipeline(
        [
            node(
                nodes.join_outcomes,
                inputs=["scores", "posted_posts", "params:modeling.target"],
                outputs="outcomes",
                name="join_outcomes",
                tags="cpu",
            ),
            node(
                nodes.watch_models,
                inputs=["outcomes", "scores", "predictions", "params:certainty"],
                outputs="monitoring",
                name="watch_models",
                tags="cpu",
            ),
            node(
                nodes.plot_outcomes,
                inputs="outcomes",
                outputs="monitoring_plot",
                name="plot_outcomes",
                tags="cpu",
            ),
        ],
        tags="monitoring",
    )
