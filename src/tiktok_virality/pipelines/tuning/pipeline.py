"""The wiring of the tuning pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.modalities import MODALITIES
from tiktok_virality.pipelines import modeling
from tiktok_virality.pipelines.tuning import nodes


def create_pipeline(modalities: Sequence[str] = tuple(MODALITIES), **kwargs: Any) -> Pipeline:
    """Make ``tuned_parameters`` and ``tuned_settings``, from the clips that modeling reads.

    Args:
        modalities: Those that take part.
        **kwargs: Not used.
    """
    clips = modeling.create_pipeline(modalities).only_nodes_with_outputs("model_input")
    searching = pipeline(
        [
            node(
                nodes.search_ensemble,
                inputs=[
                    "model_input",
                    "params:modeling.transformer",
                    "params:modeling.training",
                    "params:modeling.fine_tuning",
                    "params:tuning",
                    "params:seed",
                    "params:device",
                    "searches",
                ],
                outputs="ensemble_search",
                name="search_ensemble",
                tags=["gpu", "training"],
            ),
            node(
                nodes.search_boosting,
                inputs=["model_input", "params:tuning", "params:seed", "searches"],
                outputs="boosting_search",
                name="search_boosting",
                tags=["cpu", "training"],
            ),
            node(
                nodes.set_side_by_side,
                inputs=["ensemble_search", "boosting_search"],
                outputs="tuned_parameters",
                name="set_side_by_side",
                tags="cpu",
            ),
            node(
                nodes.write_settings,
                inputs=["tuned_parameters", "params:modeling"],
                outputs="tuned_settings",
                name="write_settings",
                tags="cpu",
            ),
        ],
        namespace="tuning",
        prefix_datasets_with_namespace=False,
        tags="tuning",
    )
    return clips + searching
