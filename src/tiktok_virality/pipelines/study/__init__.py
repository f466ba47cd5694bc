"""The frame-skip study: which frames an autoencoder should learn from."""

from tiktok_virality.pipelines.study.pipeline import create_pipeline

__all__ = ["create_pipeline"]
