"""The wiring of the frame-skip study."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.study import nodes


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``study_frames``, ``frame_study``, its figure and its finding."""
    return pipeline(
        [
            node(
                nodes.extract_study_frames,
                inputs=["manifest", "splits", "videos", "params:study"],
                outputs="study_frames",
                name="extract_study_frames",
                tags=["cpu", "media"],
            ),
            node(
                nodes.compare_frame_settings,
                inputs=[
                    "study_frames",
                    "manifest",
                    "splits",
                    "params:study",
                    "params:seed",
                    "params:device",
                    "checkpoints",
                ],
                outputs="frame_study",
                name="compare_frame_settings",
                tags=["gpu", "training"],
            ),
            node(
                nodes.draw_frame_study,
                inputs="frame_study",
                outputs="frame_study_plot",
                name="draw_frame_study",
                tags="cpu",
            ),
            node(
                nodes.state_finding,
                inputs="frame_study",
                outputs="frame_study_finding",
                name="state_finding",
                tags="cpu",
            ),
        ],
        namespace="study",
        prefix_datasets_with_namespace=False,
        tags="study",
    )
