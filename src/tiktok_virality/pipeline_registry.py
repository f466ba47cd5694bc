"""The runnable pipelines: one per folder of `pipelines/`, and the way from videos to report."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

DEFAULT_PIPELINES = ("ingestion", "modalities", "modeling", "reporting")
READ_MODALITIES = ("modalities", "modeling", "reporting", "scoring", "tuning", "truth")
"""Pipelines that differ by which modalities take part, and whether the published models do; here
all modalities do, and no published model."""


def register_pipelines() -> dict[str, Pipeline]:
    """Return the requested pipelines by name, and `__default__` when all are asked for."""
    found = find_pipelines(raise_errors=True)
    if set(DEFAULT_PIPELINES) <= found.keys():
        found["__default__"] = sum((found[name] for name in DEFAULT_PIPELINES), Pipeline([]))
    return found


def pipeline_of(name: str, modalities: Sequence[str], *, published: bool = False) -> Pipeline:
    """Return one of `READ_MODALITIES` for the modalities that take part.

    Args:
        name: Of the pipeline.
        modalities: Those that take part.
        published: Whether the published models do.
    """
    module = import_module(f"tiktok_virality.pipelines.{name}")
    made: Pipeline = module.create_pipeline(modalities=modalities, published=published)
    return made
