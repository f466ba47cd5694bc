"""The wiring of what the published models read."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.published.nodes import (
    average_whisper_states,
    keep_autoencoder_states,
)


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``published_visual_embeddings`` and ``published_audio_embeddings``."""
    return pipeline(
        [
            node(
                keep_autoencoder_states,
                inputs=[
                    *("frames", "autoencoder", "params:published.faults"),
                    *("params:visual.embedding", "params:device"),
                ],
                outputs="published_visual_embeddings",
                name="keep_autoencoder_states",
                tags="gpu",
            ),
            node(
                average_whisper_states,
                inputs=["waveforms", "params:audio.whisper", "params:device"],
                outputs="published_audio_embeddings",
                name="average_whisper_states",
                tags="gpu",
            ),
        ],
        namespace="published",
        prefix_datasets_with_namespace=False,
        tags="published",
    )
