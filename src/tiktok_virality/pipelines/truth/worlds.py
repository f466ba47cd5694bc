"""The worlds of the benchmark: the same clips, six rules behind their views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tiktok_virality.demo.config import World

TRUTH_WORLDS: Final[tuple[World, ...]] = (
    *("visual", "spoken", "additive"),
    *("interaction", "creator", "noise"),
)

RULES: Final[Mapping[str, str]] = {
    "visual": "only what is seen moves the views",
    "spoken": "only what is said moves the views",
    "additive": "what is seen and what is said move the views, each on its own",
    "interaction": "only the product of what is seen and what is said moves the views",
    "creator": "only who posts moves the views",
    "noise": "nothing moves the views but chance",
}
"""What decides the views, besides chance and (but for the last two) a little of the creator."""
