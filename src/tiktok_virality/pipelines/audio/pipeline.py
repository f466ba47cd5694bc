"""The wiring of the audio pipeline."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.audio.nodes import read_speech, tabulate_transcripts


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``audio_embeddings`` and ``transcripts``."""
    return pipeline(
        [
            node(
                read_speech,
                inputs=[
                    "waveforms",
                    "manifest",
                    "params:audio.whisper",
                    "params:seed",
                    "params:device",
                ],
                outputs="audio_embeddings",
                name="read_speech",
                tags="gpu",
            ),
            node(
                tabulate_transcripts,
                inputs="audio_embeddings",
                outputs="transcripts",
                name="tabulate_transcripts",
                tags="cpu",
            ),
        ],
        namespace="audio",
        prefix_datasets_with_namespace=False,
        tags="audio",
    )
