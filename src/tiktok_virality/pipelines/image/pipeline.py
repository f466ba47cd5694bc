"""The wiring of the image pipeline."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.image.nodes import embed_stills


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``image_embeddings``."""
    return pipeline(
        [
            node(
                embed_stills,
                inputs=["frames", "params:image", "params:device"],
                outputs="image_embeddings",
                name="embed_stills",
                tags="gpu",
            ),
        ],
        namespace="image",
        prefix_datasets_with_namespace=False,
        tags="image",
    )
