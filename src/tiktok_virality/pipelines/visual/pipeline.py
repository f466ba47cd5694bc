"""The wiring of the visual pipeline."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.visual.nodes import (
    embed_clips,
    reconstruct_held_out,
    train_autoencoder,
)
from tiktok_virality.pipelines.visual.unlike import embed_unlike_clips


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``autoencoder``, ``visual_embeddings`` and what is shown of it."""
    return pipeline(
        [
            node(
                train_autoencoder,
                inputs=[
                    "frames",
                    "splits",
                    "params:visual.autoencoder",
                    "params:visual.training",
                    "params:seed",
                    "params:device",
                    "checkpoints",
                    "params:published.faults",
                ],
                outputs="autoencoder",
                name="train_autoencoder",
                tags=["gpu", "training"],
            ),
            node(
                reconstruct_held_out,
                inputs=[
                    "autoencoder",
                    "frames",
                    "splits",
                    "params:visual.reconstructions",
                    "params:seed",
                ],
                outputs="reconstructions",
                name="reconstruct_held_out",
                tags="cpu",
            ),
            node(
                embed_clips,
                inputs=["frames", "autoencoder", "params:visual.embedding", "params:device"],
                outputs="visual_embeddings",
                name="embed_clips",
                tags="gpu",
            ),
            node(
                embed_unlike_clips,
                inputs=[
                    *("splits", "frames", "autoencoder", "params:visual.embedding"),
                    *("params:certainty", "params:seed", "params:device"),
                ],
                outputs="visual_unlike_clips",
                name="embed_unlike_clips",
                tags="gpu",
            ),
        ],
        namespace="visual",
        prefix_datasets_with_namespace=False,
        tags="visual",
    )
