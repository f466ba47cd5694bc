"""Late fusion of decisions: no features, only what the modality models say of a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from tiktok_virality.models.evidence import few_of, weigh_kernels
from tiktok_virality.schema import Config

FusionName = Literal["late_fusion_mean", "late_fusion_gate", "late_fusion_stacking"]
FUSION_NAMES: Final[tuple[FusionName, ...]] = (
    "late_fusion_mean",
    "late_fusion_gate",
    "late_fusion_stacking",
)

PRIOR: Final = 1.0
"""Squared coefficients of a gate that cost as much as one clip's squared error."""

MOST_VARIANCE: Final = 1.0
"""Prior variance of a weight of a stack at most: a decision that dares little is not blown up."""


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What the modality models say of clips.

    Attributes:
        values: On the scale of the target, [N, M].
        present: Whether a clip has the modality, bool [N, M].
    """

    values: np.ndarray
    present: np.ndarray


class DecisionFusion(Config):
    """A fitted fusion of decisions d around the training mean M: M + sum of share * (d - M).

    A clip that has one modality has its decision alone, exactly; one that has none gets the
    training mean.

    Attributes:
        name: As the leaderboard calls it.
        mean: Of the training truth.
        deviation: Of the training truth.
        weights: Of the decisions, for stacking.
        gate: Bias of every decision, and one slope s, for the gate: shares are the softmax of
            bias + s * confidence over the modalities that a clip has. The confidence of a decision
            is how far it dares from the mean, in deviations.
    """

    name: FusionName
    mean: float
    deviation: float
    weights: tuple[float, ...] | None = None
    gate: tuple[float, ...] | None = None

    def predict(self, decisions: Decisions) -> np.ndarray:
        """Return predictions on the scale of the target, float64 [N]."""
        apart, present = _apart(decisions, self.mean, self.deviation), decisions.present  # [N, M]
        if self.gate is not None:
            shares = gate_shares(apart, present, np.asarray(self.gate))  # [N, M]
        elif self.name == "late_fusion_mean":
            shares = gate_shares(apart, present, np.zeros(apart.shape[1] + 1))
        else:
            shares = np.broadcast_to(np.asarray(self.weights), apart.shape)
        shares = np.where(present.sum(axis=1, keepdims=True) > 1, shares, present)
        return self.mean + self.deviation * (shares * apart).sum(axis=1)


def fit_fusions(
    decisions: Decisions, y: np.ndarray, groups: np.ndarray, mean: float, deviation: float
) -> dict[str, DecisionFusion]:
    """Fit every fusion of decisions on the validation split.

    Not on the training split: the modality models have learned those clips by heart, and the one
    that overfits more would be trusted more. The validation split has only told them when to stop.

    Args:
        decisions: Of the validation clips.
        y: What is true of them, [N].
        groups: Creator of each, [N].
        mean: Of the training truth.
        deviation: Of the training truth, above zero.
    """
    several = decisions.present.sum(axis=1) > 1
    apart = _apart(decisions, mean, deviation)[several]
    truth = (y[several] - mean) / deviation
    scale = {"mean": mean, "deviation": deviation}
    return {
        "late_fusion_mean": DecisionFusion(name="late_fusion_mean", **scale),
        "late_fusion_gate": DecisionFusion(
            name="late_fusion_gate",
            gate=_fit_gate(apart, decisions.present[several], truth),
            **scale,
        ),
        "late_fusion_stacking": DecisionFusion(
            name="late_fusion_stacking",
            weights=_fit_stack(apart, truth, groups[several]),
            **scale,
        ),
    }


def gate_shares(apart: np.ndarray, present: np.ndarray, gate: np.ndarray) -> np.ndarray:
    """Return the shares of the decisions, [N, M], which add up to 1 over those that there are.

    Args:
        apart: How far each decision is from the mean, in deviations, [N, M].
        present: Whether a clip has the modality, [N, M].
        gate: Bias of each decision, and the slope; a slope above zero favours the confident, [M+1].
    """
    scores = np.exp(np.clip(gate[:-1] + gate[-1] * np.abs(apart), -30, 30)) * present
    total = scores.sum(axis=1, keepdims=True)
    return np.divide(scores, total, out=np.zeros_like(scores), where=total > 0)


def _apart(decisions: Decisions, mean: float, deviation: float) -> np.ndarray:
    return np.where(decisions.present, (decisions.values - mean) / deviation, 0.0)


def _fit_gate(apart: np.ndarray, present: np.ndarray, truth: np.ndarray) -> tuple[float, ...]:
    from scipy.optimize import least_squares

    def residuals(gate: np.ndarray) -> np.ndarray:
        errors = (gate_shares(apart, present, gate) * apart).sum(axis=1) - truth
        return np.concatenate([errors, np.sqrt(PRIOR) * gate])

    return tuple(least_squares(residuals, np.zeros(apart.shape[1] + 1)).x.tolist())


def _fit_stack(apart: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> tuple[float, ...]:
    """Fit non-negative weights: stacked regressions (Breiman 1996), with a prior by evidence.

    How large a weight may be, and what clips of a creator have in common, is what makes the truth
    most likely: a decision that explains nothing beyond the creators is given next to no weight.
    """
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls
    from threadpoolctl import threadpool_limits

    many = apart.shape[1]
    if not len(truth):
        return (1 / many,) * many
    few = few_of(len(truth))
    apart, truth, groups = apart[few], truth[few], groups[few]
    same = (groups[:, None] == groups[None, :]).astype(float)
    with threadpool_limits(limits=1):  # sums must not depend on cores
        kernels = [*(np.outer(decision, decision) for decision in apart.T), same]
        (*variances, of_creator), noise = weigh_kernels(kernels, truth)
        root = cholesky(noise * np.eye(len(truth)) + of_creator * same, lower=True)
        whitened = solve_triangular(root, np.column_stack([apart, truth]), lower=True)  # [N, M + 1]
        prior = np.diag(1 / np.sqrt(np.minimum(variances, MOST_VARIANCE)))
        found, _ = nnls(
            np.concatenate([whitened[:, :-1], prior]),
            np.concatenate([whitened[:, -1], np.zeros(many)]),
        )
    return tuple(found.tolist())
