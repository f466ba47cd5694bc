"""Clips that are not posted yet: where each would likely land, and what moves the answer."""

from tiktok_virality.pipelines.scoring.pipeline import EXPLAINING, create_pipeline

__all__ = ["EXPLAINING", "create_pipeline"]
