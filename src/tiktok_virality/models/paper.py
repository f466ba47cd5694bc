"""The published models, layer by layer: 2,228,625,922 parameters at frames of 128 x 72.

After the authors' public code of "Multimodal Deep Regression on TikTok Content Success". The visual
Transformer reads a fixed number of tokens as wide as a frame has pixels, and one linear layer reads
all of its tokens at once: its size grows with the square of the frame's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.transformer import sinusoids

UNUSED_LAYERS: Final = 5
"""Of the second head, beside its last."""


class PublishedTransformer(nn.Module):
    """Post-norm self-attention over a fixed number of tokens, then a linear layer over all of them.

    Args:
        tokens: Of a clip; a batch in which no clip has any is filled up with zeros.
        size: Of a token.
        config: Layers, heads and feed-forward; ``width`` is the number of features.

    Raises:
        ValueError: The heads do not divide the size of a token.
    """

    def __init__(self, tokens: int, size: int, config: TransformerConfig) -> None:
        super().__init__()
        if size % config.heads:
            raise ValueError(
                f"published.transformer.heads={config.heads} must divide the size of a token, "
                f"{size}, which is the number of a frame's pixels: choose other heads, or another "
                "visual.sampling.shrink."
            )
        self.tokens = tokens
        self.dropout = nn.Dropout(config.dropout)
        layer = nn.TransformerEncoderLayer(
            size, config.heads, config.feedforward, config.dropout, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.output = nn.Linear(tokens * size, config.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return features: [B, tokens, size] to [B, width]."""
        x = pad(tokens, (0, 0, 0, self.tokens - tokens.shape[1]))  # [B, tokens, size]
        x = self.dropout(x + sinusoids(x.shape[1], x.shape[2], x))  # [B, tokens, size]
        return self.output(self.layers(x).flatten(1))  # [B, width]


class PublishedAlone(nn.Module):
    """One of the two Transformers with a linear head of its own."""

    def __init__(self, table: str, tokens: int, size: int, config: TransformerConfig) -> None:
        super().__init__()
        self.table = table
        self.transformer = PublishedTransformer(tokens, size, config)
        self.head = nn.Linear(config.width, 1)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]; zero for a clip without these tokens."""
        features = self.transformer(batch.tokens[self.table])  # [B, width]
        return self.head(features).squeeze(-1) * batch.present(self.table)


class PublishedEnsemble(nn.Module):
    """Both Transformers, the head that reads them, and a second head that nothing uses.

    Neither head has anything but linear layers. A clip that lacks one kind of tokens has zeros for
    its features; the authors leave such clips out.

    Args:
        visual: Name, tokens and size of a token of the picture.
        audio: The same of the voice.
        config: Shape of both Transformers.
    """

    def __init__(
        self, visual: tuple[str, int, int], audio: tuple[str, int, int], config: TransformerConfig
    ) -> None:
        super().__init__()
        both = 2 * config.width
        self.tables = (visual[0], audio[0])
        self.visual = PublishedTransformer(*visual[1:], config)
        self.audio = PublishedTransformer(*audio[1:], config)
        self.head = nn.Sequential(nn.Linear(both, both), nn.Linear(both, 1))
        self.unused_head = nn.Sequential(
            *(nn.Linear(both, both) for _ in range(UNUSED_LAYERS)), nn.Linear(both, 1)
        ).requires_grad_(False)  # several processes would wait for its gradients

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]; zero for a clip of which nothing is known."""
        present = torch.stack([batch.present(name) for name in self.tables], dim=1)  # [B, 2]
        features = [
            transformer(batch.tokens[name]) * there[:, None]  # [B, width]
            for transformer, name, there in zip(
                (self.visual, self.audio), self.tables, present.unbind(1), strict=True
            )
        ]
        return self.head(torch.cat(features, dim=1)).squeeze(-1) * present.any(dim=1)


def build_published(
    tables: Mapping[str, tuple[int, int]], config: TransformerConfig
) -> PublishedAlone | PublishedEnsemble:
    """Return one Transformer alone, or the ensemble of picture and voice.

    Args:
        tables: Tokens of a clip and size of a token, by table: one, or picture and voice.
        config: Shape of the Transformers.
    """
    named = [(name, tokens, size) for name, (tokens, size) in tables.items()]
    if len(named) == 1:
        return PublishedAlone(*named[0], config)
    visual, audio = named
    return PublishedEnsemble(visual, audio, config)
