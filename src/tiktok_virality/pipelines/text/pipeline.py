"""The wiring of the text pipeline."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.text.nodes import read_screens, read_words, tabulate_texts


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``screen_words``, ``text_embeddings`` and ``texts``."""
    return pipeline(
        [
            node(
                read_screens,
                inputs=["frames", "params:text.screen"],
                outputs="screen_words",
                name="read_screens",
                tags=["cpu", "media"],
            ),
            node(
                read_words,
                inputs=["manifest", "audio_embeddings", "screen_words", "params:text"],
                outputs="text_embeddings",
                name="read_words",
                tags="cpu",
            ),
            node(
                tabulate_texts,
                inputs="text_embeddings",
                outputs="texts",
                name="tabulate_texts",
                tags="cpu",
            ),
        ],
        namespace="text",
        prefix_datasets_with_namespace=False,
        tags="text",
    )
