"""Whether the models still hold for clips whose views came in after they were scored."""

from tiktok_virality.pipelines.monitoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]
