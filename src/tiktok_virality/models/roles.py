"""What part each model plays: what must be beaten, what is tried, what is judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from tiktok_virality.modalities import MODALITIES, STATES

Role = Literal["constant", "baseline", "published", "modality", "variant", "ensemble", "planted"]
"""Constants know nothing of a clip; baselines are simple; published models are those of the paper,
where they are asked for; a modality is a Transformer of its own; a
variant fuses in another way; the ensemble is what the report judges; planted models are shown what
a synthetic corpus was made from."""

ROLE_ORDER: Final[tuple[Role, ...]] = get_args(Role)

Regime = Literal["content", "creator", "planted"]
"""What a model may know: the clip and its making; who posts it, too; or the planted factors."""

ROLES: Final[Mapping[str, Role]] = {
    "training_mean": "constant",
    "training_median": "constant",
    "creator_history": "baseline",
    "duration": "baseline",
    "metadata_boosting": "baseline",
    "tfidf": "baseline",
    "ridge": "baseline",
    "gradient_boosting": "baseline",
    "mlp": "baseline",
    "nearest": "baseline",
    "early_fusion": "variant",
    "late_fusion_mean": "variant",
    "late_fusion_gate": "variant",
    "late_fusion_stacking": "variant",
    "ensemble": "ensemble",
}
"""Of all models but the `PUBLISHED` and those of one modality: the Transformer ``<name>`` and
``ridge_<name>``."""

PUBLISHED: Final = (*STATES, "published")
"""The published Transformers, each alone, and the published ensemble."""

RIDGE_PREFIX: Final = "ridge_"
"""Begins the name of a ridge that reads one modality."""

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
    if model in PUBLISHED:
        return "published"
    if model in ROLES:
        return ROLES[model]
    if model.removeprefix(RIDGE_PREFIX) not in MODALITIES:
        raise KeyError(
            f"No model is called {model!r}; there are {', '.join(ROLES)}, and those of the "
            f"modalities {', '.join(MODALITIES)}."
        )
    return "baseline" if model.startswith(RIDGE_PREFIX) else "modality"


def order_of(model: str) -> tuple[int, str]:
    """Return where a model stands in tables: by what it is, then by modality, then by name."""
    of_one = model.removeprefix(RIDGE_PREFIX)
    place = list(MODALITIES).index(of_one) if of_one in MODALITIES else -1
    return ROLE_ORDER.index(role_of(model)), f"{place:03}{model}"


def regime_of(model: str) -> Regime:
    """Return what a model may know, by its name.

    Raises:
        KeyError: There is no such model.
    """
    if role_of(model) == "planted":
        return "planted"
    return "creator" if model in KNOW_THE_CREATOR else "content"
