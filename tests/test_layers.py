"""Kedro-Viz draws no layers at all where they go in circles, and says so only in its log."""

from __future__ import annotations

from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from tiktok_virality.serving.project import open_catalog

ROOT = Path(__file__).parents[1]


def layers_before(pipeline: Pipeline, catalog: DataCatalog) -> dict[str, set[str]]:
    """Return the layers that each layer is made from, through data without a layer."""
    feeding: dict[str, set[str]] = {}
    before: dict[str, set[str]] = {}

    def own(name: str) -> str | None:
        metadata = getattr(catalog.get(name), "metadata", None) or {}
        return metadata.get("kedro-viz", {}).get("layer")

    for node in pipeline.nodes:  # in the order of a run
        made_from = set()
        for name in node.inputs:
            made_from |= {layer} if (layer := own(name)) else feeding.get(name, set())
        for name in node.outputs:
            feeding[name] = made_from
            if layer := own(name):
                before.setdefault(layer, set()).update(made_from - {layer})
    return before


@pytest.mark.parametrize(("env", "name"), [("demo", "__default__"), ("truth", "truth")])
def test_layers_do_not_go_in_circles(env, name):
    bootstrap_project(ROOT)
    before = layers_before(pipelines[name], open_catalog(ROOT, env))
    assert {"primary", "models", "reporting"} <= before.keys()
    TopologicalSorter(before).prepare()  # CycleError names the circle
