"""From raw videos and posts to the manifest, the rejects and the splits."""

from tiktok_virality.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
