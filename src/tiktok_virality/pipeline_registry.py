"""The runnable pipelines: one per folder of `pipelines/`, and the way from videos to report."""

from __future__ import annotations

from kedro.framework.project import find_pipelines, pipelines
from kedro.pipeline import Pipeline

DEFAULT_PIPELINES = ("ingestion", "audio", "visual", "modeling", "reporting")


def register_pipelines() -> dict[str, Pipeline]:
    """Return the requested pipelines by name, and `__default__` when all are asked for."""
    found = find_pipelines(raise_errors=True)
    if set(DEFAULT_PIPELINES) <= found.keys():
        found["__default__"] = sum((found[name] for name in DEFAULT_PIPELINES), Pipeline([]))
    return found


def put_first(name: str) -> None:
    """Let the default pipeline begin with another: the demo corpus makes its own videos."""
    if "__default__" in pipelines.keys():  # noqa: SIM118 - a lazy mapping without __contains__
        pipelines["__default__"] = pipelines[name] + pipelines["__default__"]
