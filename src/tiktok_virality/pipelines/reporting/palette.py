"""One colour per model, the same in every figure; all of them hold on white and on black."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Final

from tiktok_virality.modalities import MODALITIES

GREY: Final = "#8b929b"
OF_MODALITIES: Final = ("#2a9d6f", "#d9822b", "#7a9a2e", "#c05a8c", "#3d8f9e", "#a07a4a")
"""In turn, in the order of the registry."""

COLOURS: Final[Mapping[str, str]] = {
    "ensemble": "#2f7fc1",
    "early_fusion": "#9a6fb8",
    "late_fusion_mean": "#9a6fb8",
    "late_fusion_gate": "#9a6fb8",
    "late_fusion_stacking": "#9a6fb8",
    "autoencoder": "#b0574f",
    "published": "#b0574f",
    "published_visual": "#5f8f5a",
    "published_audio": "#b98a4b",
    **dict(zip(MODALITIES, cycle(OF_MODALITIES), strict=False)),
}


SERIES: Final = ("#2f7fc1", "#d9822b", "#2a9d6f", "#9a6fb8", "#b0574f", GREY)
"""For series that are no models of the palette, in turn."""


def colour(model: str) -> str:
    """Return a model's colour; baselines are grey."""
    return COLOURS.get(model, GREY)


def faint(colour: str, opacity: float) -> str:
    """Return a colour ``#rrggbb`` with an opacity, as CSS and Plotly write it."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"
