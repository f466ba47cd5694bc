"""From embeddings to predictions: baselines, modality Transformers, fusions."""

from tiktok_virality.pipelines.modeling.pipeline import create_pipeline

__all__ = ["create_pipeline"]
