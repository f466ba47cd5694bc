"""A linear readout of pooled tokens, and a Transformer blended with it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.transformer import Standardise, masked_mean


class LinearReadout(nn.Module):
    """Mean and deviation over the tokens of each modality to a decision, linearly.

    Fitted in closed form, so that it is at its best on few clips, where a Transformer is not.
    """

    def __init__(self, token_sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.token_sizes = dict(token_sizes)
        size = 2 * sum(token_sizes.values())
        self.scale = Standardise(size)
        self.linear = nn.Linear(size, 1)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]; a missing modality counts as the training mean."""
        pooled, known = [], []
        for name, size in self.token_sizes.items():
            pooled.append(pooled_tokens(batch.tokens[name], batch.padding[name]))  # [B, 2 D]
            known.append(batch.present(name)[:, None].expand(-1, 2 * size))  # [B, 2 D]
        present = torch.cat(known, dim=1)  # [B, F]
        scaled = self.scale(torch.cat(pooled, dim=1)) * present  # [B, F]
        return self.linear(scaled).squeeze(-1) * present.any(dim=1)  # [B]


class Blended(nn.Module):
    """A Transformer and a linear readout, averaged: decision = trust * deep + (1 - trust) * linear.

    They are fitted apart, so that neither makes up for what the other has learned by heart. A
    modality that a clip lacks has no part in either.
    """

    trust: Tensor

    def __init__(self, deep: nn.Module, readout: LinearReadout) -> None:
        super().__init__()
        self.deep = deep
        self.readout = readout
        self.register_buffer("trust", torch.tensor(0.5))

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]."""
        return self.readout(batch).lerp(self.deep(batch), self.trust)


def pooled_tokens(tokens: Tensor, padding: Tensor) -> Tensor:
    """Return mean and deviation over real tokens: [B, T, D] and [B, T] to [B, 2 D]."""
    mean = masked_mean(tokens, padding)  # [B, D]
    variance = masked_mean((tokens - mean[:, None]).square(), padding)  # [B, D]
    return torch.cat([mean, variance.sqrt()], dim=1)
