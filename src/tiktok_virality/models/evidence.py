"""How much each of several kernels explains, by the evidence of the data (type II likelihood).

A Gaussian process whose covariance is a weighted sum of kernels (Duvenaud, Nickisch and Rasmussen,
2011, "Additive Gaussian processes"; in statistics, a variance components model). The weights are
those under which the data are most likely (Rasmussen and Williams, 2006, chapter 5): a kernel that
explains nothing is given next to nothing, without folds and without held-out clips.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

LOG_WEIGHTS: Final = (-9.0, 3.0)
LOG_NOISE: Final = (-5.0, 2.0)
"""Limits of the logarithms, for a target of variance 1."""
STEPS: Final = 60
SPREAD: Final = 2.0
"""Of the weights of many kernels, beforehand: a hundred of them would fit chance without it.

It is around their common size, which the data decide: around a fixed one, a hundred kernels could
not all say that there is little to explain, and read something into noise."""
CONJUGATE_STEPS: Final = 300
TINY: Final = 1e-12
CLIPS_FOR_KERNELS: Final = 1000
"""Most clips that kernels are weighed on: their cost is the cube of the clips."""


def few_of(clips: int) -> NDArray[np.int64]:
    """Return the places of a random few of many clips, sorted: at most `CLIPS_FOR_KERNELS`."""
    return np.sort(np.random.default_rng(0).permutation(clips)[:CLIPS_FOR_KERNELS])


def weigh_kernels(
    kernels: Sequence[Floats], target: Floats, spread: float = math.inf
) -> tuple[Floats, float]:
    """Find the weights and the noise that make the target most likely.

    Every step inverts an [N, N] matrix.

    Args:
        kernels: Symmetric, non-negative definite, with diagonals of about 1, [N, N] each.
        target: Mean 0 and variance about 1, [N].
        spread: Standard deviation of the logarithm of a weight around the mean of all, beforehand:
            the data alone decide where it is infinite.

    Returns:
        The variance that each kernel explains, [K], and the variance of the noise.
    """
    from scipy.optimize import minimize

    parts = np.stack([*kernels, np.eye(len(target))])
    start = np.log([*[0.5 / max(len(kernels), 1)] * len(kernels), 0.5])
    found = minimize(
        _surprise,
        start,
        args=(parts, target, spread),
        jac=True,
        method="L-BFGS-B",
        bounds=[*[LOG_WEIGHTS] * len(kernels), LOG_NOISE],
        options={"maxiter": STEPS},
    )
    weights = np.exp(found.x)
    return weights[:-1], float(weights[-1])


@dataclass(frozen=True)
class LinearEffect:
    """An effect that is linear in features, whose weights are expected to be of equal size.

    Attributes:
        features: Standardised, [N, D].
        write: Takes the weights that were found, [D].
    """

    features: Floats
    write: Callable[[Floats], None]

    def kernel(self, few: NDArray[np.int64]) -> Floats:
        """Return what clips have in common, [n, n], for some of the clips."""
        x = self.features[few]
        return np.asarray(x @ x.T, dtype=np.float64) / x.shape[1]

    def apply(self, dual: Floats) -> Floats:
        """Return the kernel times a vector, [N], without the kernel."""
        return np.asarray(self.features @ (self.features.T @ dual)) / self.features.shape[1]

    def settle(self, dual: Floats) -> None:
        """Write the weights that a dual vector stands for, [N]."""
        self.write(self.features.T @ dual / self.features.shape[1])


@dataclass(frozen=True)
class ProductEffect:
    """An effect of every product of a feature of one kind and one of another.

    Attributes:
        one: [N, P].
        other: [N, Q].
        present: Which clips have both kinds, [N].
        write: Takes the weights of the products, [P, Q].
        write_usual: Takes what the products give a usual clip, which is not theirs to explain.
    """

    one: Floats
    other: Floats
    present: NDArray[np.bool_]
    write: Callable[[Floats], None]
    write_usual: Callable[[Floats], None]

    @cached_property
    def usual(self) -> Floats:
        """The mean products, [P, Q]."""
        count = max(int(self.present.sum()), 1)
        return np.asarray(self.one[self.present].T @ self.other[self.present] / count)

    def kernel(self, few: NDArray[np.int64]) -> Floats:
        """Return what clips have in common, [n, n], for some of the clips."""
        one, other, present = self.one[few], self.other[few], self.present[few]
        usual = self._like_usual()[few]
        raw = (one @ one.T) * (other @ other.T) - usual[:, None] - usual[None, :]
        return np.asarray(
            (raw + np.square(self.usual).sum()) * np.outer(present, present), dtype=np.float64
        )

    def apply(self, dual: Floats) -> Floats:
        """Return the kernel times a vector, [N], without the kernel."""
        weights = self._weights(dual)
        values = np.einsum("np,pq,nq->n", self.one, weights, self.other, optimize=True)
        return np.asarray((values - (weights * self.usual).sum()) * self.present)

    def settle(self, dual: Floats) -> None:
        """Write the weights that a dual vector stands for, [N]."""
        weights = self._weights(dual)
        self.write(weights)
        self.write_usual(np.asarray((weights * self.usual).sum()))

    def _weights(self, dual: Floats) -> Floats:
        here = dual * self.present
        return np.asarray((self.one * here[:, None]).T @ self.other - here.sum() * self.usual)

    def _like_usual(self) -> Floats:
        return np.einsum("np,pq,nq->n", self.one, self.usual, self.other, optimize=True)


Effect = LinearEffect | ProductEffect


def explain(effects: Sequence[Effect], target: Floats, groups: NDArray[Any]) -> None:
    """Find by evidence how much each effect explains, and let each write its posterior mean.

    What clips of a group have in common is an effect of its own, and is written nowhere. Kernels
    are weighed on at most `CLIPS_FOR_KERNELS` clips, whose cost is their cube; given the weights,
    all clips are solved for by conjugate gradients, whose cost grows with the clips.

    Args:
        effects: What may explain the target; one that says nothing of any clip is passed over.
        target: Mean 0 and variance about 1, [N].
        groups: Of each clip, [N].
    """
    few = few_of(len(target))
    same = (groups[few][:, None] == groups[few][None, :]).astype(float)
    kernels = [effect.kernel(few) for effect in effects]
    sizes = [float(np.trace(kernel)) / len(few) for kernel in kernels]
    there = [place for place, size in enumerate(sizes) if size > TINY]
    effects, sizes = [effects[place] for place in there], [sizes[place] for place in there]
    shares = [kernels[place] / size for place, size in zip(there, sizes, strict=True)]
    (*found, of_group), noise = weigh_kernels([*shares, same], target[few], SPREAD)
    variances = [v / size for v, size in zip(found, sizes, strict=True)]
    if len(few) == len(target):
        parts = np.stack([*shares, same, np.eye(len(target))])
        weights = np.array([*found, of_group, noise])
        dual = np.linalg.solve(_covariance(weights, parts), target)
    else:
        dual = _dual_of_many(effects, variances, groups, of_group, noise, target)
    for effect, variance in zip(effects, variances, strict=True):
        effect.settle(variance * dual)


def _dual_of_many(
    effects: Sequence[Effect],
    variances: Sequence[float],
    groups: NDArray[Any],
    group_variance: float,
    noise: float,
    target: Floats,
) -> Floats:
    """Solve with the covariance of all clips, which is never written down, [N]."""
    from scipy.sparse.linalg import LinearOperator, cg

    _, group = np.unique(groups, return_inverse=True)

    def apply(dual: Floats) -> Floats:
        dual = dual.ravel()
        shared = np.bincount(group, weights=dual)[group]
        known = (v * effect.apply(dual) for v, effect in zip(variances, effects, strict=True))
        return np.asarray(noise * dual + group_variance * shared + sum(known))

    operator = LinearOperator((len(target), len(target)), matvec=apply, dtype=np.float64)
    dual, _ = cg(operator, target, rtol=1e-4, maxiter=CONJUGATE_STEPS)
    return np.asarray(dual)


def _surprise(
    log_weights: Floats, parts: Floats, target: Floats, spread: float
) -> tuple[float, Floats]:
    """Return the negative log posterior of the weights, but for a constant, and its gradient."""
    from scipy.linalg import cho_factor, cho_solve

    weights = np.exp(log_weights)
    factor = cho_factor(_covariance(weights, parts), lower=True)
    inverse = cho_solve(factor, np.eye(len(target)))
    dual = inverse @ target
    apart = (log_weights - log_weights[:-1].mean()) / spread
    apart[-1] = 0.0  # the noise is what it is
    value = 0.5 * target @ dual + np.log(np.diag(factor[0])).sum() + 0.5 * apart @ apart
    slopes = 0.5 * weights * np.tensordot(parts, inverse - np.outer(dual, dual), 2)
    return float(value), slopes + apart / spread


def _covariance(weights: Floats, parts: Floats) -> Floats:
    return np.asarray(np.tensordot(weights, parts, 1))
