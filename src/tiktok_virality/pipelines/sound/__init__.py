"""From waveforms to what can be measured of them."""

from tiktok_virality.pipelines.sound.pipeline import create_pipeline

__all__ = ["create_pipeline"]
