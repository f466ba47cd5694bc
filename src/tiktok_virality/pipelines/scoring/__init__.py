"""Clips that are not posted yet: where each would likely land."""

from tiktok_virality.pipelines.scoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]
