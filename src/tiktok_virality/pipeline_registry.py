"""The runnable pipelines: one per folder of `pipelines/`, and the way from videos to report."""

from __future__ import annotations

from kedro.framework.project import find_pipelines
from kedro.pipeline import Pipeline

DEFAULT_PIPELINES = ("ingestion", "audio", "visual", "modeling", "reporting")


def register_pipelines() -> dict[str, Pipeline]:
    """Return the requested pipelines by name, and `__default__` when all are asked for."""
    found = find_pipelines(raise_errors=True)
    if set(DEFAULT_PIPELINES) <= found.keys():
        found["__default__"] = sum((found[name] for name in DEFAULT_PIPELINES), Pipeline([]))
    return found
