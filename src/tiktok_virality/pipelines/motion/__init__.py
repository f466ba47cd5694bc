"""From measured steps between frames to what moves."""

from tiktok_virality.pipelines.motion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
