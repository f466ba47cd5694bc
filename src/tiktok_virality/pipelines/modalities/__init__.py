"""The tokens of every modality that takes part: their pipelines, as one."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from kedro.pipeline import Pipeline

from tiktok_virality.modalities import MODALITIES, with_needs

__all__ = ["create_pipeline"]


def create_pipeline(
    modalities: Sequence[str] = tuple(MODALITIES), *, published: bool = False, **kwargs: Any
) -> Pipeline:
    """Make ``<name>_embeddings`` of each modality.

    Args:
        modalities: Those that take part; what they need of others is made, too.
        published: Whether the states are made, too, that the published models read.
        **kwargs: Not used.
    """
    names = [*with_needs(modalities), *(["published"] if published else [])]
    modules = [import_module(f"tiktok_virality.pipelines.{name}") for name in names]
    return sum((module.create_pipeline() for module in modules), Pipeline([]))
