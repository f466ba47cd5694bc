"""The wiring of the sound pipeline."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.sound.nodes import measure_sound


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``sound_embeddings``."""
    return pipeline(
        [
            node(
                measure_sound,
                inputs=["waveforms", "params:sound"],
                outputs="sound_embeddings",
                name="measure_sound",
                tags="cpu",
            ),
        ],
        namespace="sound",
        prefix_datasets_with_namespace=False,
        tags="sound",
    )
