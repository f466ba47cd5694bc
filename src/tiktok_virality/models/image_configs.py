"""What the image pipeline may be told. Reading it loads no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from tiktok_virality.schema import Config


class ImageParameters(Config):
    """Which frozen network looks at stills, and what is taken from it.

    Attributes:
        library: Where the network comes from.
        model: Its name there; of ``open_clip``, a tag of published weights may follow a slash
            (``ViT-B-32/laion2b_s34b_b79k``).
        weights: A checkpoint of that network; ``None`` looks in the usual places.
        side: A network that takes any shape sees stills scaled to side x side pixels of area, in
            their own shape; one of a fixed input sees them squeezed into it.
        transformer_blocks: Blocks of a transformer whose states are described, evenly spread; a
            convolutional network has all its stages described.
        grid_height: Rows of the grid on which the layout of a still is described.
        grid_width: Its columns.
        batch_size: Clips per part file.
    """

    library: Literal["timm", "open_clip"] = "timm"
    model: str = "tf_efficientnet_lite0"
    weights: Path | None = None
    side: int = Field(default=224, ge=32, le=2048)
    transformer_blocks: int = Field(default=3, ge=1)
    grid_height: int = Field(default=3, ge=1)
    grid_width: int = Field(default=2, ge=1)
    batch_size: int = Field(default=16, ge=1)
