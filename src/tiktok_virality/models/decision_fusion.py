"""Late fusion of two decisions: no features, only what the two modality models say of a clip."""

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
    """What the visual and the audio model say of clips.

    Attributes:
        values: On the scale of the target, visual before audio, [N, 2].
        present: Whether a clip has the modality, bool [N, 2].
    """

    values: np.ndarray
    present: np.ndarray


class DecisionFusion(Config):
    """A fitted fusion of two decisions d around the training mean M: M + sum of share * (d - M).

    A clip that lacks a modality has the other's decision alone, exactly; one that has neither gets
    the training mean.

    Attributes:
        name: As the leaderboard calls it.
        mean: Of the training truth.
        deviation: Of the training truth.
        weights: Shares of the visual and the audio decision, for mean and stacking.
        gate: Bias and slope b and s, for the gate: the visual share is the logistic function of
            b + s * (confidence of the visual less that of the audio decision), the audio share the
            rest. The confidence of a decision is how far it dares from the mean, in deviations.
    """

    name: FusionName
    mean: float
    deviation: float
    weights: tuple[float, float] | None = None
    gate: tuple[float, float] | None = None

    def predict(self, decisions: Decisions) -> np.ndarray:
        """Return predictions on the scale of the target, float64 [N]."""
        apart = _apart(decisions, self.mean, self.deviation)  # [N, 2]
        if self.gate is not None:
            both = gate_shares(apart, *self.gate)  # [N, 2]
        else:
            both = np.broadcast_to(np.asarray(self.weights), apart.shape)
        whole = decisions.present.all(axis=1, keepdims=True)  # [N, 1]
        shares = np.where(whole, both, decisions.present)
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
    whole = decisions.present.all(axis=1)
    apart = _apart(decisions, mean, deviation)[whole]
    truth = (y[whole] - mean) / deviation
    scale = {"mean": mean, "deviation": deviation}
    return {
        "late_fusion_mean": DecisionFusion(name="late_fusion_mean", weights=(0.5, 0.5), **scale),
        "late_fusion_gate": DecisionFusion(
            name="late_fusion_gate", gate=_fit_gate(apart, truth), **scale
        ),
        "late_fusion_stacking": DecisionFusion(
            name="late_fusion_stacking", weights=_fit_stack(apart, truth, groups[whole]), **scale
        ),
    }


def gate_shares(apart: np.ndarray, bias: float, slope: float) -> np.ndarray:
    """Return the shares of both decisions, [N, 2], which add up to 1.

    Args:
        apart: How far each decision is from the mean, in deviations, [N, 2].
        bias: Above zero favours the visual decision.
        slope: Above zero favours the more confident one.
    """
    from scipy.special import expit

    confidence = np.abs(apart)
    visual = expit(bias + slope * (confidence[:, 0] - confidence[:, 1]))
    return np.stack([visual, 1 - visual], axis=1)


def _apart(decisions: Decisions, mean: float, deviation: float) -> np.ndarray:
    return np.where(decisions.present, (decisions.values - mean) / deviation, 0.0)


def _fit_gate(apart: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    from scipy.optimize import least_squares

    def residuals(gate: np.ndarray) -> np.ndarray:
        errors = (gate_shares(apart, *gate) * apart).sum(axis=1) - truth
        return np.concatenate([errors, np.sqrt(PRIOR) * gate])

    bias, slope = least_squares(residuals, np.zeros(2)).x
    return float(bias), float(slope)


def _fit_stack(apart: np.ndarray, truth: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """Fit non-negative weights: stacked regressions (Breiman 1996), with a prior by evidence.

    How large a weight may be, and what clips of a creator have in common, is what makes the truth
    most likely: a decision that explains nothing beyond the creators is given next to no weight.
    """
    from scipy.linalg import cholesky, solve_triangular
    from scipy.optimize import nnls
    from threadpoolctl import threadpool_limits

    if not len(truth):
        return 0.5, 0.5
    few = few_of(len(truth))
    apart, truth, groups = apart[few], truth[few], groups[few]
    same = (groups[:, None] == groups[None, :]).astype(float)
    with threadpool_limits(limits=1):  # sums must not depend on cores
        kernels = [*(np.outer(decision, decision) for decision in apart.T), same]
        (*variances, of_creator), noise = weigh_kernels(kernels, truth)
        root = cholesky(noise * np.eye(len(truth)) + of_creator * same, lower=True)
        whitened = solve_triangular(root, np.column_stack([apart, truth]), lower=True)  # [N, 3]
        prior = np.diag(1 / np.sqrt(np.minimum(variances, MOST_VARIANCE)))
        (visual, audio), _ = nnls(
            np.concatenate([whitened[:, :2], prior]), np.concatenate([whitened[:, 2], np.zeros(2)])
        )
    return float(visual), float(audio)
