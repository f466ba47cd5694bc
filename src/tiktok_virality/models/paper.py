"""The published ensemble, layer by layer, for comparison: 2,228,625,922 parameters.

After the authors' public code of "Multimodal Deep Regression on TikTok Content Success". Build it
on the meta device: ``with torch.device("meta"): PublishedEnsemble()``. Nobody needs to train it:
its visual Transformer reads the 64 channels of the autoencoder's last state as tokens of 9,216
pixels each.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FRAME_HEIGHT, FRAME_WIDTH = 128, 72
HIDDEN_CHANNELS = 64
WHISPER_STATES, WHISPER_WIDTH = 7, 512
FEATURES = 256
LAYERS, HEADS, FEEDFORWARD = 6, 8, 256
HEAD_WIDTH = 512


class PublishedTransformer(nn.Module):
    """Six layers over a fixed number of tokens, then one linear layer over all of them."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, HEADS, FEEDFORWARD, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS)
        self.output = nn.Linear(tokens * width, FEATURES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return features: [B, tokens, width] to [B, 256]."""
        return self.output(self.layers(tokens).flatten(1))


class PublishedEnsemble(nn.Module):
    """Both Transformers, the head that reads them, and a second head that nothing uses."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = PublishedTransformer(HIDDEN_CHANNELS, FRAME_HEIGHT * FRAME_WIDTH)
        self.audio = PublishedTransformer(WHISPER_STATES, WHISPER_WIDTH)
        self.head = nn.Sequential(
            nn.Linear(HEAD_WIDTH, HEAD_WIDTH), nn.ReLU(), nn.Linear(HEAD_WIDTH, 1)
        )
        self.unused_head = nn.Sequential(
            *(nn.Linear(HEAD_WIDTH, HEAD_WIDTH) for _ in range(5)), nn.Linear(HEAD_WIDTH, 1)
        )

    def forward(self, state: Tensor, audio: Tensor) -> Tensor:
        """Return views: [B, 64, 128, 72] and [B, 7, 512] to [B]."""
        features = torch.cat([self.visual(state.flatten(2)), self.audio(audio)], dim=1)  # [B, 512]
        return self.head(features).squeeze(-1)
