"""A bilinear readout of pooled tokens, and a Transformer blended with it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from tiktok_virality.models.configs import PACE_SIZE
from tiktok_virality.models.evidence import few_of, linear_effects, weigh_kernels
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.product_effect import ProductEffect, fit_product
from tiktok_virality.models.transformer import Standardise, masked_mean

BLOCKS = ("pace", "visual", "audio")
FACTORS = ("pace", "audio")
"""The blocks that the product is of."""


class BilinearReadout(nn.Module):
    """The mean tokens of a clip to a decision: linear in each modality, and one product of both.

    decision = w_pace . pace + w_visual . visual + w_audio . audio + (u . pace) (z . audio)

    Pace is the first `PACE_SIZE` columns of the visual tokens, and visual the others. It is fitted
    without gradients, as a Gaussian process whose kernels are weighed by evidence, so that it is at
    its best on few clips, where a Transformer is not. The product says that a lively picture makes
    the same words work better or worse; it is with the pace alone, since a product with every
    visual feature has more weights than most corpora have views.
    """

    def __init__(self, token_sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.token_sizes = dict(token_sizes)
        sizes = block_sizes(token_sizes)
        self.scales = nn.ModuleDict({name: Standardise(n) for name, n in token_sizes.items()})
        self.weights = nn.ParameterDict({name: torch.zeros(n) for name, n in sizes.items()})
        both = {name: sizes[name] for name in FACTORS if set(FACTORS) <= sizes.keys()}
        self.factors = nn.ParameterDict({name: torch.zeros(n) for name, n in both.items()})
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
        decision = torch.stack([features[n] @ w for n, w in self.weights.items()]).sum(0)  # [B]
        if self.factors:
            pace, audio = (features[name] @ factor for name, factor in self.factors.items())
            decision = decision + pace * audio  # [B]
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
        from threadpoolctl import threadpool_limits

        self._fit_scales(batch)
        features = {
            name: x.double().numpy() / max(x.shape[1], 1) ** 0.5
            for name, x in self.features(batch).items()
        }
        with threadpool_limits(limits=1):  # small matrices; sums must not depend on cores
            self._fit_weights(features, target - target.mean(), groups)

    def _fit_weights(
        self, features: Mapping[str, np.ndarray], target: np.ndarray, groups: np.ndarray
    ) -> None:
        """Weigh the kernels and fit the product on at most `CLIPS_FOR_KERNELS`, the rest on all.

        Kernels cost the cube of the clips; the linear effects, given their weights, do not.
        """
        few = few_of(len(target))
        some = {name: x[few] for name, x in features.items()}
        share, noise, fitted = self._fit_kernels(some, target[few], groups[few])
        rest = target
        if fitted is not None:
            audio = share["product"] * (some["audio"].T @ fitted.right_dual)
            self._fill_factors(fitted.left, audio)
            rest = target - (features["pace"] @ fitted.left) * (features["audio"] @ audio)
        found = linear_effects(
            [features[name] for name in self.weights],
            [share[name] for name in self.weights],
            groups,
            share["creator"],
            rest,
            noise,
        )
        for weight, primal in zip(self.weights.values(), found, strict=True):
            _fill(weight, primal / max(len(primal), 1) ** 0.5)

    def _fit_kernels(
        self, features: Mapping[str, np.ndarray], target: np.ndarray, groups: np.ndarray
    ) -> tuple[dict[str, float], float, ProductEffect | None]:
        """Return the variance of each kernel, that of the noise, and the product, if any."""
        kernels = {name: features[name] @ features[name].T for name in self.weights}
        kernels["creator"] = (groups[:, None] == groups[None, :]).astype(float)
        main = list(kernels)
        if self.factors:
            pace = features["pace"]
            kernels["product"] = (pace @ pace.T) * kernels["audio"]
        found, noise = weigh_kernels(list(kernels.values()), target)
        share = dict(zip(kernels, found.tolist(), strict=True))
        if not self.factors:
            return share, noise, None
        covariance = np.sum([share[name] * kernels[name] for name in main], axis=0)
        right = share["product"] * kernels["audio"]
        return share, noise, fit_product(covariance, features["pace"], right, target, noise)

    def _fill_factors(self, pace: np.ndarray, audio: np.ndarray) -> None:
        _fill(self.factors["pace"], pace / len(pace) ** 0.5)
        _fill(self.factors["audio"], audio / len(audio) ** 0.5)

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

    Attributes:
        deep: The Transformer.
        rehearsal: The readout as it was when the trust was chosen, which no validation clip taught.
            It speaks of validation clips, and of no others.
        readout: The same, taught by the validation clips, too.
        trust: In the Transformer, 0 to 1.
    """

    trust: Tensor

    def __init__(self, deep: nn.Module, rehearsal: BilinearReadout) -> None:
        super().__init__()
        self.deep = deep
        self.rehearsal = rehearsal
        self.readout = BilinearReadout(rehearsal.token_sizes)
        self.register_buffer("trust", torch.tensor(0.5))

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]."""
        return self.readout(batch).lerp(self.deep(batch), self.trust)

    def rehearse(self, batch: TokenBatch) -> Tensor:
        """Return the same without what validation clips have taught, [B]."""
        return self.rehearsal(batch).lerp(self.deep(batch), self.trust)


def block_sizes(token_sizes: Mapping[str, int]) -> dict[str, int]:
    """Return how many features each block of a readout has."""
    sizes = dict(token_sizes)
    if "visual" in sizes:
        sizes["pace"] = min(PACE_SIZE, sizes["visual"])
        sizes["visual"] -= sizes["pace"]
    return {name: sizes[name] for name in BLOCKS if name in sizes}


def _fill(weight: Tensor, values: np.ndarray) -> None:
    weight.copy_(torch.from_numpy(values))
