"""The published models: what they read, their training, and what they predict."""

from tiktok_virality.pipelines.published.pipeline import create_pipeline

__all__ = ["create_pipeline"]
