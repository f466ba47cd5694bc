"""The wiring of ingestion."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.ingestion.nodes import (
    build_manifest,
    fingerprint_videos,
    match_posts,
    probe_videos,
    split_videos,
)


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``manifest``, ``rejected_videos`` and ``splits`` of raw videos and posts."""
    return pipeline(
        [
            node(
                match_posts,
                inputs=["video_metadata", "videos"],
                outputs="posts",
                name="match_posts",
            ),
            node(
                probe_videos,
                inputs=["posts", "videos"],
                outputs="video_probes",
                name="probe_videos",
                tags="media",
            ),
            node(
                fingerprint_videos,
                inputs=[
                    "video_probes",
                    "videos",
                    "params:ingestion.limits",
                    "params:ingestion.duplicates",
                ],
                outputs="fingerprints",
                name="fingerprint_videos",
                tags="media",
            ),
            node(
                build_manifest,
                inputs=[
                    "posts",
                    "video_probes",
                    "fingerprints",
                    "params:ingestion.limits",
                    "params:ingestion.duplicates",
                ],
                outputs=["manifest", "rejected_videos"],
                name="build_manifest",
            ),
            node(
                split_videos,
                inputs=["manifest", "params:ingestion.splits", "params:seed"],
                outputs="splits",
                name="split_videos",
            ),
        ],
        namespace="ingestion",
        prefix_datasets_with_namespace=False,
        tags=["ingestion", "cpu"],
    )
