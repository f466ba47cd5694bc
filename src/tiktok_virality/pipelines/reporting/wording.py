"""How models and numbers are called where people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tiktok_virality.modalities import EVERYTHING, MODALITIES, STATES
from tiktok_virality.models.roles import RIDGE_PREFIX

LABELS: Final[Mapping[str, str]] = {
    "ridge": "ridge, everything",
    "gradient_boosting": "gradient boosting, everything",
    "metadata_boosting": "gradient boosting, metadata",
    "tfidf": "ridge on words",
    "mlp": "small neural network",
    "nearest": "clips that are most alike",
    "duration": "duration alone",
    "creator_history": "history of the creator",
    "late_fusion_mean": "late fusion, mean",
    "late_fusion_gate": "late fusion, gate",
    "late_fusion_stacking": "late fusion, stacking",
    "planted_picture": "all that the picture tells",
    "planted_sound": "all that the sound tells",
    "planted_both": "all that both tell",
    "planted_boosting": "gradient boosting, true factors",
    "published": "published ensemble",
    **{name: f"{name} Transformer" for name in MODALITIES},
    **{name: f"published {of} Transformer" for name, of in STATES.items()},
    **{f"{RIDGE_PREFIX}{name}": f"ridge, {name}" for name in MODALITIES},
}

SEES: Final[Mapping[str, str]] = {
    "none": "nothing",
    "metadata": "metadata",
    "words": "words",
    EVERYTHING: "everything",
    **{name: modality.words for name, modality in MODALITIES.items()},
}

REGIMES: Final[Mapping[str, str]] = {
    "content": "Models that know only the clip",
    "creator": "Models that know who posts",
    "planted": "Models that are shown what was planted",
}

ROLES: Final[Mapping[str, str]] = {
    "constant": "constant",
    "baseline": "baseline",
    "published": "as published",
    "modality": "one modality",
    "variant": "other fusion",
    "ensemble": "the ensemble",
    "planted": "shown the truth",
}

METHODS: Final[Mapping[str, str]] = {
    "split": "split conformal",
    "quantile": "conformalised quantile regression",
}

STRATEGIES: Final[Mapping[str, str]] = {
    "random": "random",
    "group": "by creator",
    "chronological": "by time",
    "group_chronological": "by creator and time",
}

UNITS: Final = ((1e9, "B"), (1e6, "M"), (1e3, "K"))


def label(model: str) -> str:
    """Return what people call a model: ``gradient_boosting`` is ``gradient boosting``."""
    return LABELS.get(model, model.replace("_", " "))


def part_name(group: str, value: str) -> str:
    """Return what people call a part of the clips: ``all clips``, or ``duration: low``."""
    return group if group == value else f"{group}: {value}"


def count(value: float) -> str:
    """Write a count of views in three digits, as the app does: ``21.1M``, ``541K``, ``87``.

    Counts below zero, which a linear model of log views can predict, are no views.
    """
    value = max(value, 0.0)
    for unit, suffix in UNITS:
        if value >= 0.9995 * unit:
            return f"{_three_digits(value / unit)}{suffix}"
    return f"{value:.0f}"


def number(value: float | None, decimals: int = 2) -> str:
    """Write a number with a real minus sign; a dash stands for one that does not exist."""
    if value is None:
        return "\N{EN DASH}"
    written = f"{value:,.{decimals}f}"
    if float(written.replace(",", "")) == 0:
        written = written.removeprefix("-")
    return written.replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """Write a share in whole percent; one decimal below ten."""
    value = abs(share) * 100
    return f"{value:.1f}%" if 0.05 <= value < 9.95 else f"{value:.0f}%"


def signed_percent(share: float) -> str:
    """Write a share that may be below zero in whole percent, with a real minus sign."""
    return f"{number(100 * share, 0)}%"


def probability(p_value: float) -> str:
    """Write a p-value in three digits; those below a thousandth only as that."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3g}"


def clock(seconds: float) -> str:
    """Write a duration as people say it: ``48 s``, ``9 min 36 s``, ``3 h 12 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def plural(amount: int, noun: str, nouns: str | None = None) -> str:
    """Write an amount with its noun: ``1 clip``, ``96 clips``, ``2 modalities``."""
    return f"{amount:,} {noun}" if amount == 1 else f"{amount:,} {nouns or noun + 's'}"


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
