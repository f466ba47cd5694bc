"""What a clip says in words: its caption, its hashtags, what is spoken, and what is on screen."""

from tiktok_virality.pipelines.text.pipeline import create_pipeline

__all__ = ["create_pipeline"]
