"""The wiring of the collection pipeline."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.pipelines.collection.nodes import fetch_videos, find_videos


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make videos and their records of topics; it runs by name only.

    ``earlier_collection``, ``found_videos`` and ``collected_videos`` are one folder: before the
    run, with the new links, and with the new videos.
    """
    return pipeline(
        [
            node(
                find_videos,
                inputs=[
                    "earlier_collection",
                    "site_access",
                    "params:collection",
                    "params:seed",
                    "forget_list",
                ],
                outputs="found_videos",
                name="find_videos",
            ),
            node(
                fetch_videos,
                inputs=[
                    *("found_videos", "site_access", "params:collection", "params:seed"),
                    "forget_list",
                ],
                outputs="collected_videos",
                name="fetch_videos",
                tags="media",
            ),
        ],
        namespace="collection",
        prefix_datasets_with_namespace=False,
        tags=["collection", "cpu"],
    )
