"""Models over both modalities: the late-fusion ensemble and its early-fusion ablation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tiktok_virality.models.configs import MODALITIES, TransformerConfig
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
    """

    tokens: Mapping[str, Tensor]
    padding: Mapping[str, Tensor]

    def present(self, modality: str) -> Tensor:
        """Tell which clips have a modality, [B]."""
        return ~self.padding[modality].all(dim=1)

    def to(self, device: torch.device | str) -> TokenBatch:
        """Return the batch on a device."""
        return TokenBatch(
            {name: value.to(device) for name, value in self.tokens.items()},
            {name: value.to(device) for name, value in self.padding.items()},
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
    """Combines the decisions of the two modality Transformers, weighted by a learned gate.

    decision = gate_visual * visual + gate_audio * audio + joint(features of both)

    The joint term lets one modality change the meaning of the other, which no weighting of two
    numbers can. A clip that lacks a modality has the other's decision alone, exactly; one that has
    neither gets zero, the training mean.
    """

    def __init__(self, token_sizes: Mapping[str, int], config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.transformers = nn.ModuleDict(
            {name: ModalityTransformer(token_sizes[name], config) for name in MODALITIES}
        )
        self.gate = nn.Linear(2 * width, 2)
        self.joint = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Linear(2 * width, width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(width, 1),
        )
        # Begin as the plain mean of the two decisions, which are trained already.
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
        present = torch.stack([batch.present(name) for name in MODALITIES], dim=1)  # [B, 2]
        features, decisions = [], []
        for column, name in enumerate(MODALITIES):
            transformer = self.transformer(name)
            pooled = transformer.features(batch.tokens[name], batch.padding[name])  # [B, width]
            features.append(pooled)
            decisions.append(transformer.trunk.decide(pooled, present[:, column]))  # [B]
        both = torch.cat(features, dim=1)  # [B, 2 width]
        gate = self._gate(both, present)  # [B, 2]
        joint = self.joint(both).squeeze(-1) * present.all(dim=1)  # [B]
        return (gate * torch.stack(decisions, dim=1)).sum(dim=1) + joint  # [B]

    def _gate(self, features: Tensor, present: Tensor) -> Tensor:
        scores = self.gate(features).masked_fill(~present, float("-inf"))  # [B, 2]
        return torch.where(present.any(dim=1, keepdim=True), scores, 0.0).softmax(dim=1)


class EarlyFusion(nn.Module):
    """The ablation: one Transformer over the tokens of both modalities, one after the other."""

    def __init__(self, token_sizes: Mapping[str, int], config: TransformerConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleDict({name: Standardise(token_sizes[name]) for name in MODALITIES})
        self.project = nn.ModuleDict(
            {name: nn.Linear(token_sizes[name], config.width) for name in MODALITIES}
        )
        self.kind = nn.ParameterDict(
            {name: nn.Parameter(0.02 * torch.randn(config.width)) for name in MODALITIES}
        )
        self.trunk = TransformerTrunk(config)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]."""
        tokens, padding = [], []
        for name in MODALITIES:
            x = self.project[name](self.scales[name](batch.tokens[name]))  # [B, T, width]
            tokens.append(x + sinusoids(x.shape[1], x.shape[2], x) + self.kind[name])
            padding.append(batch.padding[name])
        every_padding = torch.cat(padding, dim=1)  # [B, sum T]
        pooled = self.trunk(torch.cat(tokens, dim=1), every_padding)  # [B, width]
        return self.trunk.decide(pooled, ~every_padding.all(dim=1))
