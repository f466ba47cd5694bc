"""Finding public videos by topic, and fetching them with their counts."""

from tiktok_virality.pipelines.collection.pipeline import create_pipeline

__all__ = ["create_pipeline"]
