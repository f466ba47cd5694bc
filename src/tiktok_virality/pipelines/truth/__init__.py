"""The truth benchmark: worlds whose rule is known, and how much of it each model finds."""

from tiktok_virality.pipelines.truth.pipeline import create_pipeline

__all__ = ["create_pipeline"]
