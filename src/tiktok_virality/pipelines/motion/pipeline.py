"""The wiring of the motion pipeline."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.motion.nodes import describe_movement


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``motion_embeddings``."""
    return pipeline(
        [
            node(
                describe_movement,
                inputs=["frames", "params:motion"],
                outputs="motion_embeddings",
                name="describe_movement",
                tags="cpu",
            ),
        ],
        namespace="motion",
        prefix_datasets_with_namespace=False,
        tags="motion",
    )
