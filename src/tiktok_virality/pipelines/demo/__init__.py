"""The planted corpus: synthetic clips, their posts, and the truth about their views."""

from tiktok_virality.pipelines.demo.pipeline import create_pipeline

__all__ = ["create_pipeline"]
