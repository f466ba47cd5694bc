"""A bilinear readout of pooled tokens, and a Transformer blended with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from tiktok_virality.models.configs import PACE_SIZE
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.transformer import Standardise, masked_mean

if TYPE_CHECKING:
    import numpy as np

BLOCKS = ("pace", "visual", "audio")


class BilinearReadout(nn.Module):
    """The mean tokens of a clip to a decision: linear in each modality, and in their product.

    decision = w_pace . pace + w_visual . visual + w_audio . audio + pace . W . audio

    Pace is the first `PACE_SIZE` columns of the visual tokens, and visual the others. Fitted in
    closed form, as a Gaussian process whose kernels are weighed by evidence, so that it is at its
    best on few clips, where a Transformer is not. The product says that a lively picture makes the
    same words work better or worse; it is with the pace alone, since a product with every visual
    feature has more weights than most corpora have views.
    """

    def __init__(self, token_sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.token_sizes = dict(token_sizes)
        sizes = block_sizes(token_sizes)
        self.scales = nn.ModuleDict({name: Standardise(n) for name, n in token_sizes.items()})
        self.weights = nn.ParameterDict({name: torch.zeros(n) for name, n in sizes.items()})
        both = {"pace", "audio"} <= sizes.keys()
        self.product = nn.Parameter(torch.zeros(sizes["pace"], sizes["audio"])) if both else None
        self.requires_grad_(False)

    def features(self, batch: TokenBatch) -> dict[str, Tensor]:
        """Return the standardised mean tokens by block, [B, D] each; zeros for what is missing."""
        pooled = {}
        for name in self.token_sizes:
            mean = masked_mean(batch.tokens[name], batch.padding[name])  # [B, D]
            pooled[name] = self.scales[name](mean) * batch.present(name)[:, None]  # [B, D]
        if "visual" in pooled:
            pace = min(PACE_SIZE, self.token_sizes["visual"])
            pooled["pace"], pooled["visual"] = pooled["visual"].tensor_split([pace], dim=1)
        return pooled

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]; a missing modality counts as the training mean."""
        features = self.features(batch)
        decision = sum(features[name] @ weight for name, weight in self.weights.items())
        if self.product is not None:
            decision = decision + ((features["pace"] @ self.product) * features["audio"]).sum(1)
        return decision

    def fit(self, batch: TokenBatch, target: np.ndarray, groups: np.ndarray) -> None:
        """Find the weights that the training clips make most likely.

        What a creator's clips have in common is a kernel of its own in the fit, and is left out
        of the decision: otherwise voice and colours would be taken for what makes views.

        Args:
            batch: The training clips.
            target: Standardised log views, [N].
            groups: Creator of each clip, [N].
        """
        from tiktok_virality.models.evidence import weigh_kernels

        self._fit_scales(batch)
        features = {name: x.double().numpy() for name, x in self.features(batch).items()}
        blocks = [name for name in self.weights if features[name].shape[1]]
        kernels = [_linear_kernel(features[name]) for name in blocks]
        if self.product is not None:
            kernels.append(_linear_kernel(features["pace"]) * _linear_kernel(features["audio"]))
        of_one_creator = groups[:, None] == groups[None, :]
        found = weigh_kernels([*kernels, of_one_creator.astype(float)], target - target.mean())
        for name, weight in zip(blocks, found.weights, strict=False):
            size = features[name].shape[1]
            fitted = features[name].T @ found.dual / size
            self.weights[name].copy_(torch.from_numpy(weight * fitted))
        if self.product is not None:
            pace, audio = features["pace"], features["audio"]
            fitted = pace.T @ (found.dual[:, None] * audio) / (pace.shape[1] * audio.shape[1])
            self.product.copy_(torch.from_numpy(found.weights[len(blocks)] * fitted))

    def _fit_scales(self, batch: TokenBatch) -> None:
        for name, scale in self.scales.items():
            assert isinstance(scale, Standardise)
            present = batch.present(name)
            if present.any():
                scale.fit(masked_mean(batch.tokens[name], batch.padding[name])[present])


class Blended(nn.Module):
    """A Transformer and a readout, averaged: decision = trust * deep + (1 - trust) * readout.

    They are fitted apart, so that neither makes up for what the other has learned by heart. A
    modality that a clip lacks has no part in either.
    """

    trust: Tensor

    def __init__(self, deep: nn.Module, readout: BilinearReadout) -> None:
        super().__init__()
        self.deep = deep
        self.readout = readout
        self.register_buffer("trust", torch.tensor(0.5))

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]."""
        return self.readout(batch).lerp(self.deep(batch), self.trust)


def _linear_kernel(features: np.ndarray) -> np.ndarray:
    """Return [N, N] of features [N, D]; its diagonal is about 1 where they are standardised."""
    return features @ features.T / features.shape[1]


def block_sizes(token_sizes: Mapping[str, int]) -> dict[str, int]:
    """Return how many features each block of a readout has."""
    sizes = dict(token_sizes)
    if "visual" in sizes:
        sizes["pace"] = min(PACE_SIZE, sizes["visual"])
        sizes["visual"] -= sizes["pace"]
    return {name: sizes[name] for name in BLOCKS if name in sizes}
