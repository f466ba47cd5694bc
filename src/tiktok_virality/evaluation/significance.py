"""Whether one model is better than another beyond chance, and what many such questions cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from tiktok_virality.evaluation.metrics import as_pair

FLIPS_AT_ONCE: Final = 2_000
"""Sign flips that are worked on together, to bound memory."""


@dataclass(frozen=True, kw_only=True)
class ClusterSignFlips:
    """A paired test of two models whose clips come in clusters, such as creators.

    The squared errors of both models differ by some amount on each clip; the test sums these
    differences by cluster. If the models were equally good, each sum could as well have had the
    other sign. So the test flips the signs of whole clusters and counts how often the total is as
    far from zero as it is. Where there are no more than `flips` ways to flip, it tries them all.

    Fisher (1935), The Design of Experiments; for clusters of unequal size and dependence within
    them Canay, Romano and Shaikh (2017), "Randomization Tests under an Approximate Symmetry
    Assumption", Econometrica 85, who show that it holds its level with few clusters, where tests
    that lean on many clusters do not. A p-value is never 0: Phipson and Smyth (2010). With G
    clusters it is at least :math:`2^{1 - G}`.

    Attributes:
        flips: Random sign flips, where all of them would be more.
        seed: Of the random flips.
    """

    flips: int
    seed: int

    def p_value(
        self, y_true: ArrayLike, y_pred: ArrayLike, y_reference: ArrayLike, clusters: ArrayLike
    ) -> float:
        """Return the two-sided p-value of the difference in MSE of a model and a reference.

        Args:
            y_true: The truth, [N].
            y_pred: What the model predicts, [N].
            y_reference: What the reference predicts, [N].
            clusters: What belongs together, [N].

        Raises:
            ValueError: The arrays are empty, differ in length, or hold NaN or infinity.
        """
        from scipy import stats

        truth, predicted = as_pair(y_true, y_pred)
        _, reference = as_pair(truth, y_reference)
        labels = np.asarray(clusters)
        if labels.shape != truth.shape:
            raise ValueError(
                f"clusters has the shape {list(labels.shape)} and must have [{len(truth)}]."
            )
        _, numbers = np.unique(labels.astype(str), return_inverse=True)
        gains = (reference - truth) ** 2 - (predicted - truth) ** 2
        sums = np.bincount(numbers, weights=gains)  # [G]
        if len(sums) < 2:
            return 1.0  # a single sum says nothing, and SciPy wants two
        tested = stats.permutation_test(
            (sums,),
            np.sum,
            permutation_type="samples",
            vectorized=True,
            n_resamples=self.flips,
            batch=FLIPS_AT_ONCE,
            rng=np.random.default_rng(self.seed),
        )
        return float(tested.pvalue)


def least_p_value(clusters: int) -> float:
    """Return the least two-sided p-value that sign flips of so many clusters can give."""
    return float(2.0 ** (1 - clusters)) if clusters > 0 else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for there being several of them.

    With Holm's step-down method the chance of even one false claim among all comparisons stays
    below the level, whatever their dependence: Holm (1979), "A Simple Sequentially Rejective
    Multiple Test Procedure", Scandinavian Journal of Statistics 6.

    Args:
        p_values: One for each comparison, [M].

    Returns:
        The adjusted p-values in the same order, [M], each at least as large as before.
    """
    from statsmodels.stats.multitest import multipletests

    if not len(p_values):
        return []
    return [float(value) for value in multipletests(p_values, method="holm")[1]]
