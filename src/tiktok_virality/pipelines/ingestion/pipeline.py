"""The wiring of ingestion."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.ingestion.nodes import (
    build_manifest,
    decode_videos,
    describe_dataset,
    extract_waveforms,
    fingerprint_videos,
    match_posts,
    probe_videos,
    split_videos,
    views_at_horizons,
)


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``frames``, ``waveforms``, ``manifest``, ``splits`` and the dataset card of raw videos.

    The card says which languages are spoken if ``transcripts`` are there: in a run of everything
    it waits for them, and ingestion alone takes those of an earlier run, or none.
    """
    made = pipeline(
        [
            node(
                match_posts,
                inputs=["video_metadata", "videos", "forget_list"],
                outputs="posts",
                name="match_posts",
            ),
            node(
                views_at_horizons,
                inputs=["posts", "count_snapshots", "params:ingestion.horizons"],
                outputs="horizon_views",
                name="views_at_horizons",
            ),
            node(
                probe_videos,
                inputs=["posts", "videos"],
                outputs="video_probes",
                name="probe_videos",
                tags="media",
            ),
            node(
                decode_videos,
                inputs=[
                    "video_probes",
                    "videos",
                    "params:ingestion.limits",
                    "params:visual.sampling",
                    "params:ingestion.stills",
                    "params:ingestion.motion",
                    "params:ingestion.duplicates",
                ],
                outputs="frames",
                name="decode_videos",
                tags="media",
            ),
            node(
                extract_waveforms,
                inputs=[
                    "video_probes",
                    "videos",
                    "params:ingestion.limits",
                    "params:ingestion.waveforms",
                ],
                outputs="waveforms",
                name="extract_waveforms",
                tags="media",
            ),
            node(
                fingerprint_videos,
                inputs=["frames", "waveforms", "params:ingestion.duplicates"],
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
                    "horizon_views",
                    "params:ingestion.limits",
                    "params:ingestion.duplicates",
                ],
                outputs=["manifest", "rejected_videos"],
                name="build_manifest",
            ),
            node(
                split_videos,
                inputs=[
                    "manifest",
                    "params:ingestion.splits",
                    "params:evaluation",
                    "params:seed",
                ],
                outputs="splits",
                name="split_videos",
            ),
        ],
        namespace="ingestion",
        prefix_datasets_with_namespace=False,
        tags=["ingestion", "cpu"],
    )
    card = pipeline(
        [
            node(
                describe_dataset,
                inputs=[
                    "posts",
                    "manifest",
                    "rejected_videos",
                    "fingerprints",
                    "transcripts",
                    "ground_truth",
                ],
                outputs=["dataset_summary", "dataset_card"],
                name="describe_dataset",
            ),
        ],
        namespace="dataset_card",  # not amid ingestion: it may have to wait for another pipeline
        prefix_datasets_with_namespace=False,
        tags=["ingestion", "cpu"],
    )
    return made + card
