"""Models over any number of modalities: the late-fusion ensemble, and early fusion beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.transformer import (
    ModalityTransformer,
    Standardise,
    TransformerTrunk,
    sinusoids,
)


@dataclass(frozen=True)
class TokenBatch:
    """The tokens of a batch of clips.

    Attributes:
        tokens: By modality, [B, T, D] each, padded at the end.
        padding: By modality, True where a token is padding, [B, T]; all True where a clip has no
            such modality.
        pooled: By modality, the tokens of each clip as one row (`pooling.pool`), zeros for a clip
            that has none, [B, P]; nothing where nobody asked.
    """

    tokens: Mapping[str, Tensor]
    padding: Mapping[str, Tensor]
    pooled: Mapping[str, Tensor] = field(default_factory=dict)

    def present(self, modality: str) -> Tensor:
        """Tell which clips have a modality, [B]."""
        return ~self.padding[modality].all(dim=1)

    def to(self, device: torch.device | str) -> TokenBatch:
        """Return the batch on a device."""
        return TokenBatch(
            {name: value.to(device) for name, value in self.tokens.items()},
            {name: value.to(device) for name, value in self.padding.items()},
            {name: value.to(device) for name, value in self.pooled.items()},
        )


class SingleModality(nn.Module):
    """A modality Transformer that takes its own part of a batch."""

    def __init__(self, modality: str, token_size: int, config: TransformerConfig) -> None:
        super().__init__()
        self.modality = modality
        self.transformer = ModalityTransformer(token_size, config)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]; zero for a clip without the modality."""
        return self.transformer(batch.tokens[self.modality], batch.padding[self.modality])


class LateFusion(nn.Module):
    """Combines the decisions of the modality Transformers, each weighted by a learned gate.

    decision = sum of gate_m * decision_m + joint(features of all)

    Every gate is between 0 and 1, whatever the others say: what one modality adds to another is
    added, and what it repeats or makes up is turned down. The joint term lets one modality change
    the meaning of another, which no weighting of numbers can. A clip that has one modality has its
    decision alone, exactly; one that has none gets zero, the training mean.
    """

    def __init__(self, token_sizes: Mapping[str, int], config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.transformers = nn.ModuleDict(
            {name: ModalityTransformer(size, config) for name, size in token_sizes.items()}
        )
        self.gate = nn.Linear(len(token_sizes) * width, len(token_sizes))
        self.joint = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(len(token_sizes) * width, width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(width, 1),
        )
        # Begin with half of every decision, which are trained already, and nothing joint.
        for last in (self.gate, self.joint[-1]):
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def transformer(self, modality: str) -> ModalityTransformer:
        """Return the Transformer of a modality."""
        transformer = self.transformers[modality]
        assert isinstance(transformer, ModalityTransformer)
        return transformer

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]."""
        features, decisions = [], []
        for name in self.transformers:
            transformer = self.transformer(name)
            pooled = transformer.features(batch.tokens[name], batch.padding[name])  # [B, width]
            features.append(pooled)
            decisions.append(transformer.trunk.decide(pooled, batch.present(name)))  # [B]
        present = torch.stack([batch.present(name) for name in self.transformers], dim=1)  # [B, M]
        several = present.sum(dim=1) > 1  # [B]
        everything = torch.cat(features, dim=1)  # [B, M width]
        gate = torch.where(several[:, None], self.gate(everything).sigmoid(), 1.0)  # [B, M]
        joint = self.joint(everything).squeeze(-1) * several  # [B]
        return (gate * torch.stack(decisions, dim=1)).sum(dim=1) + joint  # [B]


class EarlyFusion(nn.Module):
    """The ablation: one Transformer over the tokens of all modalities, one after the other."""

    def __init__(self, token_sizes: Mapping[str, int], config: TransformerConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleDict({name: Standardise(n) for name, n in token_sizes.items()})
        self.project = nn.ModuleDict(
            {name: nn.Linear(n, config.width) for name, n in token_sizes.items()}
        )
        self.kind = nn.ParameterDict(
            {name: nn.Parameter(0.02 * torch.randn(config.width)) for name in token_sizes}
        )
        self.trunk = TransformerTrunk(config)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]."""
        tokens, padding = [], []
        for name in self.kind:
            x = self.project[name](self.scales[name](batch.tokens[name]))  # [B, T, width]
            tokens.append(x + sinusoids(x.shape[1], x.shape[2], x) + self.kind[name])
            padding.append(batch.padding[name])
        every_padding = torch.cat(padding, dim=1)  # [B, sum T]
        pooled = self.trunk(torch.cat(tokens, dim=1), every_padding)  # [B, width]
        return self.trunk.decide(pooled, ~every_padding.all(dim=1))
