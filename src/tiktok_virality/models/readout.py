"""A second-order readout of pooled tokens, and a Transformer blended with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from tiktok_virality.models.evidence import (
    Effect,
    LinearEffect,
    ProductEffect,
    explain,
)
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.pooling import POOLS
from tiktok_virality.models.transformer import Standardise

COMPONENTS: Final = 24
"""Principal components of a modality that products are of, at most."""


class SecondOrderReadout(nn.Module):
    """The pooled tokens of a clip to a decision: linear in everything, and products by evidence.

    decision = sum over m of w_m . x_m + sum over m <= n of z_m' W_mn z_n

    x_m are the standardised pooled tokens of a modality, z_m their first principal components. It
    is fitted without gradients, as a Gaussian process with one kernel for each pool of each part of
    a token and one for the products of each pair of modalities, a modality with itself among them.
    How much each kernel counts is decided by the evidence of the data, all at once: what explains
    nothing is given next to nothing. So it is at its best on few clips, where a Transformer is not.
    """

    def __init__(
        self,
        token_sizes: Mapping[str, int],
        token_parts: Mapping[str, Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.token_sizes = dict(token_sizes)
        known = token_parts or {}
        self.token_parts = {name: tuple(known.get(name, (n,))) for name, n in token_sizes.items()}
        widths = {name: len(POOLS) * size for name, size in token_sizes.items()}
        self.pairs = list(combinations_with_replacement(token_sizes, 2))
        self.scales = nn.ModuleDict({name: Standardise(n) for name, n in widths.items()})
        self.bases = nn.ParameterDict(
            {name: torch.zeros(n, min(n, COMPONENTS)) for name, n in widths.items()}
        )
        self.weights = nn.ParameterDict({name: torch.zeros(n) for name, n in widths.items()})
        self.products = nn.ParameterDict(
            {
                _key(pair): torch.zeros(*(min(widths[name], COMPONENTS) for name in pair))
                for pair in self.pairs
            }
        )
        self.usual = nn.ParameterDict({_key(pair): torch.zeros(()) for pair in self.pairs})
        self.requires_grad_(False)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]; a missing modality counts as the training mean."""
        features = self.features(batch)
        main = [x @ self.weights[name] for name, x in features.items()]
        parts = {name: x @ self.bases[name] for name, x in features.items()}  # [B, C]
        products = [
            (
                (parts[one] @ self.products[_key((one, other))] * parts[other]).sum(dim=1)
                - self.usual[_key((one, other))]
            )
            * (batch.present(one) & batch.present(other))
            for one, other in self.pairs
        ]
        return torch.stack([*main, *products]).sum(dim=0)  # [B]

    def features(self, batch: TokenBatch) -> dict[str, Tensor]:
        """Return the standardised pooled tokens, [B, P] each; zeros for what is missing."""
        return {
            name: self.scales[name](batch.pooled[name]) * batch.present(name)[:, None]
            for name in self.token_sizes
        }

    def fit(self, batch: TokenBatch, target: np.ndarray, groups: np.ndarray) -> None:
        """Find the weights that the training clips make most likely.

        What a creator's clips have in common is a kernel of its own in the fit, and is left out
        of the decision: otherwise voice and colours would be taken for what makes views.

        Args:
            batch: The training clips, pooled.
            target: Standardised log views, [N].
            groups: Creator of each clip, [N].
        """
        from threadpoolctl import threadpool_limits

        with threadpool_limits(limits=1):  # small matrices; sums must not depend on cores
            self._fit_scales(batch)
            features = {name: x.numpy() for name, x in self.features(batch).items()}
            for name, x in features.items():
                _fill(self.bases[name], _principal_axes(x, self.bases[name].shape[1]))
            explain(self._effects(features, batch), target - target.mean(), groups)

    def _effects(self, features: Mapping[str, np.ndarray], batch: TokenBatch) -> list[Effect]:
        """Return what may explain the target; each writes what it finds where it belongs."""
        effects: list[Effect] = []
        for name, x in features.items():
            ends = np.cumsum(self.token_parts[name])[:-1]
            for pool in np.split(np.arange(x.shape[1]), len(POOLS)):
                for part in np.split(pool, ends):
                    effects.append(LinearEffect(x[:, part], _Writer(self.weights[name], part)))
        parts = {name: x @ self.bases[name].numpy() for name, x in features.items()}
        for pair in self.pairs:
            both = torch.stack([batch.present(name) for name in pair]).all(dim=0).numpy()
            one, other = (parts[name] for name in pair)
            write = _Writer(self.products[_key(pair)])
            effects.append(ProductEffect(one, other, both, write, _Writer(self.usual[_key(pair)])))
        return effects

    def _fit_scales(self, batch: TokenBatch) -> None:
        for name, scale in self.scales.items():
            assert isinstance(scale, Standardise)
            present = batch.present(name)
            if present.any():
                scale.fit([batch.pooled[name][present]])


class _Writer:
    """Writes values into a parameter, or into some of its places."""

    def __init__(self, parameter: Tensor, places: np.ndarray | None = None) -> None:
        self.parameter = parameter
        self.places = places

    def __call__(self, values: np.ndarray) -> None:
        new = torch.as_tensor(values, dtype=self.parameter.dtype)
        if self.places is None:
            self.parameter.copy_(new)
        else:
            self.parameter[torch.from_numpy(self.places)] = new


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

    def __init__(
        self, deep: nn.Module, rehearsal: SecondOrderReadout, readout: SecondOrderReadout
    ) -> None:
        super().__init__()
        self.deep = deep
        self.rehearsal = rehearsal
        self.readout = readout
        self.register_buffer("trust", torch.tensor(0.5))

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return standardised log views, [B]."""
        return self.readout(batch).lerp(self.deep(batch), self.trust)

    def rehearse(self, batch: TokenBatch) -> Tensor:
        """Return the same without what validation clips have taught, [B]."""
        return self.rehearsal(batch).lerp(self.deep(batch), self.trust)


def _principal_axes(x: np.ndarray, count: int) -> np.ndarray:
    """Return the first principal axes, [P, count], scaled so that scores have a mean square of 1.

    Clips that lack the modality are zeros, which add nothing.
    """
    from sklearn.utils.extmath import randomized_svd

    found = min(count, *x.shape)
    axes = np.zeros((x.shape[1], count), x.dtype)
    if not x.any():
        return axes
    _, values, rows = randomized_svd(x, found, random_state=0)
    axes[:, :found] = rows.T / (np.sqrt(np.square(values).sum() / len(x)))
    return axes


def _key(pair: tuple[str, str]) -> str:
    return "+".join(pair)


def _fill(weight: Tensor, values: np.ndarray) -> None:
    weight.copy_(torch.from_numpy(values))
