"""The wiring of the published models, which is added to the modeling pipeline where asked for."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Node, Pipeline, node, pipeline

from tiktok_virality.modalities import PUBLISHED, PUBLISHED_TABLES
from tiktok_virality.pipelines.modeling.nodes import gather_predictions, training_alone
from tiktok_virality.pipelines.published import nodes

MODELS = {name: f"{name}_model" for name in PUBLISHED_TABLES} | {PUBLISHED: "published_model"}
"""The trained models in the catalog, by name."""

FAULTS = "params:published.faults"
RUN_INPUTS = ("params:seed", "params:device", "checkpoints")


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make what the published models read, the models, and ``published_predictions``."""
    tables = {name: f"{name}_embeddings" for name in PUBLISHED_TABLES}
    corpus = {name: name for name in ("manifest", "splits")}
    target = {"target": "params:modeling.target", "faults": FAULTS}
    return pipeline(
        [
            node(
                nodes.read_states,
                inputs=[
                    *("frames", "splits", "autoencoder", "params:visual.autoencoder"),
                    *("params:visual.training", "params:visual.embedding", FAULTS, *RUN_INPUTS),
                ],
                outputs="published_visual_embeddings",
                name="read_states",
                tags="gpu",
            ),
            node(
                nodes.read_block_states,
                inputs=["waveforms", "params:audio.whisper", "params:device"],
                outputs="published_audio_embeddings",
                name="read_block_states",
                tags="gpu",
            ),
            node(
                nodes.assemble_published,
                inputs={**corpus, **target, **tables},
                outputs=["published_input", "published_divisions"],
                name="assemble_published",
                tags=["cpu", "training"],
            ),
            *(_training(name) for name in MODELS),
            node(
                nodes.train_published_again,
                inputs={
                    "published_divisions": "published_divisions",
                    **corpus,
                    **target,
                    "transformer": "params:published.transformer",
                    "training": "params:published.training",
                    "repeats": "params:modeling.repeats",
                    **{name.removeprefix("params:"): name for name in RUN_INPUTS},
                    **tables,
                },
                outputs="published_trained_again",
                name="train_published_again",
                tags=["gpu", "training"],
            ),
            node(
                gather_predictions,
                inputs=[
                    *("published_trained_again", "published_divisions"),
                    *("params:modeling.repeats", "params:seed"),
                ],
                outputs="published_repeated_predictions",
                name="gather_published_predictions",
                tags="cpu",
            ),
            node(
                nodes.predict_published,
                inputs={
                    **{n: n for n in ("published_input", "published_repeated_predictions")},
                    "seed": "params:seed",
                    **MODELS,
                },
                outputs="published_predictions",
                name="predict_published",
                tags="cpu",
            ),
        ],
        namespace="published",
        prefix_datasets_with_namespace=False,
        tags="published",
    )


def _training(name: str) -> Node:
    table = name if name in PUBLISHED_TABLES else None
    return node(
        training_alone("published", table),
        inputs=[
            *("published_input", "params:published.transformer", "params:published.training"),
            *RUN_INPUTS,
        ],
        outputs=MODELS[name],
        name=f"train_{MODELS[name]}",
        tags=["gpu", "training"],
    )
