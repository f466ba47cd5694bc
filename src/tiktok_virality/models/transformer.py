"""The modality Transformer: the tokens of a clip in, its features and a decision of its own out."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from tiktok_virality.models.configs import TransformerConfig


class Standardise(nn.Module):
    """Subtracts the training split's mean and divides by its deviation: buffers, not weights."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, token_size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(token_size))
        self.register_buffer("deviation", torch.ones(token_size))

    def fit(self, parts: Iterable[Tensor]) -> None:
        """Take mean and deviation from training tokens, in parts of [N, token_size] each.

        They are passed over once, and need not be in memory together (Chan et al., 1979). Tokens
        are stored as float16: what varies by less than its rounding is taken as constant.
        """
        count, mean, squares = 0, self.mean.double() * 0, self.mean.double() * 0
        for part in parts:
            apart = part.double().mean(dim=0) - mean
            held = len(part) / (count + len(part))
            squares += (part.double() - part.double().mean(dim=0)).square().sum(dim=0)
            squares += apart.square() * count * held
            mean, count = mean + apart * held, count + len(part)
        self.mean.copy_(mean)
        deviation = (squares / count).sqrt()
        rounding = torch.finfo(torch.float16).eps * self.mean.abs() + 1e-7
        self.deviation.copy_(torch.where(deviation > rounding, deviation, 1.0))

    def forward(self, tokens: Tensor) -> Tensor:
        """Scale tokens, [..., token_size]."""
        return (tokens - self.mean) / self.deviation


class TransformerTrunk(nn.Module):
    """Pre-norm self-attention (Vaswani et al., 2017), masked mean pooling, and a linear head.

    A clip without any token has zero features and the decision zero, which is the training mean on
    the standardised target.
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            config.width,
            config.heads,
            config.feedforward,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(config.width, 1)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        """Return the features of each clip: [B, T, width] and [B, T] to [B, width]."""
        present = ~padding.all(dim=1, keepdim=True)  # [B, 1]
        # Attention over nothing is undefined: such a clip attends to padding, then is zeroed.
        x = self.dropout(x)  # [B, T, width]
        x = self.layers(x, src_key_padding_mask=padding & present)  # [B, T, width]
        return masked_mean(self.norm(x), padding) * present  # [B, width]

    def decide(self, features: Tensor, present: Tensor) -> Tensor:
        """Return standardised log views from features, [B]; zero where nothing is present."""
        return self.head(self.dropout(features)).squeeze(-1) * present


class ModalityTransformer(nn.Module):
    """Tokens of one modality to features, and to a decision of its own."""

    def __init__(self, token_size: int, config: TransformerConfig) -> None:
        super().__init__()
        self.scale = Standardise(token_size)
        self.project = nn.Linear(token_size, config.width)
        self.trunk = TransformerTrunk(config)

    def features(self, tokens: Tensor, padding: Tensor) -> Tensor:
        """Pool the tokens of a clip.

        Args:
            tokens: [B, T, token_size], padded at the end.
            padding: True where a token is padding, [B, T].

        Returns:
            [B, width]; zeros for a clip that is all padding.
        """
        x = self.project(self.scale(tokens))  # [B, T, width]
        x = x + sinusoids(x.shape[1], x.shape[2], x)  # [B, T, width]
        return self.trunk(x, padding)  # [B, width]

    def forward(self, tokens: Tensor, padding: Tensor) -> Tensor:
        """Return standardised log views: [B, T, token_size] and [B, T] to [B]."""
        return self.trunk.decide(self.features(tokens, padding), ~padding.all(dim=1))


def masked_mean(x: Tensor, padding: Tensor) -> Tensor:
    """Average over real tokens: [B, T, D] and [B, T] to [B, D]; zeros where there is none."""
    real = (~padding).unsqueeze(-1).to(x.dtype)  # [B, T, 1]
    return (x * real).sum(dim=1) / real.sum(dim=1).clamp(min=1)


def sinusoids(steps: int, width: int, like: Tensor) -> Tensor:
    """Return sine and cosine positions, [steps, width], as Vaswani et al. define them."""
    half = torch.arange(0, width, 2, device=like.device)
    rates = torch.exp(half * (-math.log(10_000.0) / width))  # [width / 2]
    angles = torch.arange(steps, device=like.device)[:, None] * rates  # [steps, width / 2]
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).to(like.dtype)
