"""What the motion pipeline may be told."""

from __future__ import annotations

from pydantic import Field

from tiktok_virality.schema import Config


class MotionParameters(Config):
    """How motion becomes tokens; between which frames it is measured is ``ingestion.motion``.

    Attributes:
        seconds_per_token: How long a token lasts.
        batch_size: Clips per part file.
    """

    seconds_per_token: float = Field(default=0.5, ge=0.1, le=30)
    batch_size: int = Field(default=64, ge=1)
