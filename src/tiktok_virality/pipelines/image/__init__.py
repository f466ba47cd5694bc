"""From stills to image embeddings, by a frozen pretrained network."""

from tiktok_virality.pipelines.image.pipeline import create_pipeline

__all__ = ["create_pipeline"]
