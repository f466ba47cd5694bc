"""What the published models read of a clip: states of the autoencoder and of Whisper."""

from tiktok_virality.pipelines.published.pipeline import create_pipeline

__all__ = ["create_pipeline"]
