"""From frames to visual embeddings, by a ConvLSTM autoencoder of the training split."""

from tiktok_virality.pipelines.visual.pipeline import create_pipeline

__all__ = ["create_pipeline"]
