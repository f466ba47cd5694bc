"""The wiring of the demo pipeline."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.demo.nodes import (
    describe_truth,
    plan_corpus,
    publish_metadata,
    render_corpus,
)


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``videos`` and ``video_metadata`` of a synthetic corpus, and its ``ground_truth``."""
    return pipeline(
        [
            node(
                plan_corpus,
                inputs=["params:demo", "params:seed"],
                outputs="demo_clips",
                name="plan_corpus",
            ),
            node(
                describe_truth,
                inputs=["demo_clips", "params:demo", "params:seed"],
                outputs="ground_truth",
                name="describe_truth",
            ),
            node(
                publish_metadata,
                inputs="demo_clips",
                outputs="video_metadata",
                name="publish_metadata",
            ),
            node(
                render_corpus,
                inputs="demo_clips",
                outputs="videos",
                name="render_corpus",
                tags="media",
            ),
        ],
        namespace="demo",
        prefix_datasets_with_namespace=False,
        tags=["demo", "cpu"],
    )
