"""Better settings for the ensemble and the gradient boosting, on the same budget."""

from tiktok_virality.pipelines.tuning.pipeline import create_pipeline

__all__ = ["create_pipeline"]
