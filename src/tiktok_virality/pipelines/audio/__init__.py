"""From mp4 files to what is said in them and how it sounds, by one Whisper pass."""

from tiktok_virality.pipelines.audio.pipeline import create_pipeline

__all__ = ["create_pipeline"]
