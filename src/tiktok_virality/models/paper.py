"""The published ensemble and its two Transformers, layer by layer, at any size of frames.

After the authors' public code of "Multimodal Deep Regression on TikTok Content Success". At their
frames of 128 x 72 pixels it has 2,228,625,922 parameters; to count them, build it on the meta
device: ``with torch.device("meta"): PublishedModel(published_shapes(128, 72))``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.schema import ParameterError

HIDDEN_CHANNELS: Final = 64
WHISPER_STATES, WHISPER_WIDTH = 7, 512
FEATURES: Final = 256
LAYERS, HEADS, FEEDFORWARD = 6, 8, 256
UNUSED_LAYERS: Final = 5


def published_shapes(height: int, width: int) -> dict[str, tuple[int, int]]:
    """Return how many tokens of how many numbers each Transformer reads, as published.

    Args:
        height: Of a frame, in pixels.
        width: Of a frame, in pixels.
    """
    return {
        "published_visual": (HIDDEN_CHANNELS, height * width),
        "published_audio": (WHISPER_STATES, WHISPER_WIDTH),
    }


class PublishedTransformer(nn.Module):
    """Six layers over a fixed number of tokens, then one linear layer over all of them.

    Raises:
        ParameterError: The heads do not divide a token.
    """

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        if width % HEADS:
            raise ParameterError(
                f"A token of {width} numbers cannot be divided among the {HEADS} heads of the "
                "published Transformer. Choose another visual.sampling.shrink: 8, 16 and 32 do."
            )
        self.tokens = tokens
        layer = nn.TransformerEncoderLayer(width, HEADS, FEEDFORWARD, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS)
        self.output = nn.Linear(tokens * width, FEATURES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return features: [B, T, width] to [B, 256]; zeros fill up, what is too long is cut."""
        filled = functional.pad(tokens, (0, 0, 0, self.tokens - tokens.shape[1]))
        return self.output(self.layers(filled).flatten(1))


class PublishedModel(nn.Module):
    """One published Transformer or several, and the head that reads their features.

    With several it is the published ensemble, which has a second head that nothing uses.
    Features of what a clip lacks are zero; a clip that lacks all has the decision zero.

    Args:
        shapes: How many tokens of how many numbers each Transformer reads, by table.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, int]]) -> None:
        super().__init__()
        self.transformers = nn.ModuleDict(
            {name: PublishedTransformer(*shape) for name, shape in shapes.items()}
        )
        width = FEATURES * len(shapes)
        self.head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        if len(shapes) > 1:
            self.unused_head = nn.Sequential(
                *(nn.Linear(width, width) for _ in range(UNUSED_LAYERS)), nn.Linear(width, 1)
            )

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return the standardised target, [B]."""
        present = torch.stack([batch.present(name) for name in self.transformers], dim=1)  # [B, M]
        features = [
            transformer(batch.tokens[name]) * there[:, None]
            for (name, transformer), there in zip(
                self.transformers.items(), present.unbind(1), strict=True
            )
        ]
        decision = self.head(torch.cat(features, dim=1)).squeeze(-1)  # [B]
        return decision * present.any(dim=1)
