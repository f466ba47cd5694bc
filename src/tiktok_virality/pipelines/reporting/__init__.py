"""From predictions to a leaderboard, a verdict, figures and a report."""

from tiktok_virality.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
