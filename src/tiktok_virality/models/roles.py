"""What part each model plays: what must be beaten, what is tried, what is judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

Role = Literal["constant", "baseline", "modality", "variant", "ensemble", "planted"]
"""Constants know nothing of a clip; baselines are simple; a modality is a Transformer of its own; a
variant fuses in another way; the ensemble is what the report judges; planted models are shown what
a synthetic corpus was made from."""

Regime = Literal["content", "creator", "planted"]
"""What a model may know: the clip and its making; who posts it, too; or the planted factors."""

ROLES: Final[Mapping[str, Role]] = {
    "training_mean": "constant",
    "training_median": "constant",
    "creator_history": "baseline",
    "duration": "baseline",
    "metadata_boosting": "baseline",
    "ridge_visual": "baseline",
    "ridge_audio": "baseline",
    "ridge": "baseline",
    "boosting_visual": "baseline",
    "boosting_audio": "baseline",
    "gradient_boosting": "baseline",
    "mlp": "baseline",
    "nearest_visual": "baseline",
    "visual": "modality",
    "audio": "modality",
    "early_fusion": "variant",
    "late_fusion_mean": "variant",
    "late_fusion_gate": "variant",
    "late_fusion_stacking": "variant",
    "ensemble": "ensemble",
}

KNOW_THE_CREATOR: Final = frozenset({"creator_history"})

PLANTED_PREFIX: Final = "planted"
"""Begins the name of every model that is shown planted factors."""


def role_of(model: str) -> Role:
    """Return the role of a model, by its name in the leaderboard.

    Raises:
        KeyError: There is no such model.
    """
    if model.startswith(PLANTED_PREFIX):
        return "planted"
    if model not in ROLES:
        raise KeyError(f"No model is called {model!r}; there are {', '.join(ROLES)}.")
    return ROLES[model]


def regime_of(model: str) -> Regime:
    """Return what a model may know, by its name.

    Raises:
        KeyError: There is no such model.
    """
    if role_of(model) == "planted":
        return "planted"
    return "creator" if model in KNOW_THE_CREATOR else "content"
