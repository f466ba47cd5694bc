"""The wiring of the modeling pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kedro.pipeline import Node, Pipeline, node, pipeline

from tiktok_virality.modalities import MODALITIES
from tiktok_virality.pipelines.modeling import certainty, nodes, unlike

ASSEMBLY = ("target", "memory_gb")
RECIPE = ("transformer", "training", "fine_tuning")
RUN_INPUTS = ["params:seed", "params:device", "checkpoints"]
PREDICTED_FROM = (
    *("model_input", "baselines", "rehearsed_baselines"),
    *("early_fusion", "ensemble", "late_fusions", "repeated_predictions"),
)


def create_pipeline(
    modalities: Sequence[str] = tuple(MODALITIES), *, published: bool = False, **kwargs: Any
) -> Pipeline:
    """Make ``baselines``, the models, ``predictions`` with intervals, and what these are worth.

    Args:
        modalities: Those that take part.
        published: Whether the published models are trained and predict, too.
        **kwargs: Not used.
    """
    tables = {name: f"{name}_embeddings" for name in modalities}
    alone = {name: f"{name}_model" for name in modalities}
    added = ("published_predictions",) if published else ()
    made = pipeline(
        [
            node(
                nodes.assemble_clips,
                inputs={
                    **{name: name for name in ("manifest", "splits")},
                    **{name: f"params:modeling.{name}" for name in ASSEMBLY},
                    **tables,
                },
                outputs=["model_input", "divisions"],
                name="assemble_clips",
                tags=["cpu", "training"],
            ),
            node(
                nodes.fit_baselines,
                inputs=["model_input", "params:seed"],
                outputs=["baselines", "rehearsed_baselines"],
                name="fit_baselines",
                tags=["cpu", "training"],
            ),
            *(_modality_model(name) for name in modalities),
            _training(nodes.training_alone("early_fusion"), "early_fusion"),
            node(
                nodes.train_ensemble,
                inputs={
                    "model_input": "model_input",
                    "transformer": "params:modeling.transformer",
                    "fine_tuning": "params:modeling.fine_tuning",
                    **_run_inputs(),
                    **alone,
                },
                outputs="ensemble",
                name="train_ensemble",
                tags=["gpu", "training"],
            ),
            node(
                nodes.fit_late_fusions,
                inputs={"model_input": "model_input", **alone},
                outputs="late_fusions",
                name="fit_late_fusions",
                tags=["cpu", "training"],
            ),
            node(
                nodes.train_again,
                inputs={
                    **{n: n for n in ("divisions", "model_input", "manifest", "splits")},
                    **{n: f"params:modeling.{n}" for n in (*ASSEMBLY, "repeats", *RECIPE)},
                    **_run_inputs(),
                    **tables,
                },
                outputs="trained_again",
                name="train_again",
                tags=["gpu", "training"],
            ),
            node(
                nodes.gather_predictions,
                inputs=[
                    *("trained_again", "divisions", "params:modeling.repeats"),
                    "params:seed",
                ],
                outputs="repeated_predictions",
                name="gather_predictions",
                tags="cpu",
            ),
            node(
                nodes.predict,
                inputs={
                    **{name: name for name in (*PREDICTED_FROM, *added)},
                    "seed": "params:seed",
                    **alone,
                },
                outputs="point_predictions",
                name="predict",
                tags="cpu",
            ),
            node(
                nodes.measure_split_sensitivity,
                inputs=[
                    *("model_input", "manifest", "params:ingestion.splits"),
                    *("params:modeling.split_study", "params:seed"),
                ],
                outputs="split_sensitivity",
                name="measure_split_sensitivity",
                tags="cpu",
            ),
            *_certainty(tables),
        ],
        namespace="modeling",
        prefix_datasets_with_namespace=False,
        tags="modeling",
    )
    if not published:
        return made
    from tiktok_virality.pipelines.published import create_pipeline as create_published

    return made + create_published()


def _modality_model(modality: str) -> Pipeline:
    """Return the modular pipeline of one modality: its Transformer alone."""
    return pipeline([_training(nodes.training_alone("modality", modality), f"{modality}_model")])


def _training(function: Any, output: str) -> Node:
    return node(
        function,
        inputs=[
            "model_input",
            "params:modeling.transformer",
            "params:modeling.training",
            *RUN_INPUTS,
        ],
        outputs=output,
        name=f"train_{output}",
        tags=["gpu", "training"],
    )


def _run_inputs() -> dict[str, str]:
    return {name.removeprefix("params:"): name for name in RUN_INPUTS}


def _certainty(tables: Mapping[str, str]) -> list[Node]:
    """Intervals for a single clip, the flag for unlike clips, and the evidence for both.

    Args:
        tables: Names of the tables of tokens, by modality.
    """
    return [
        node(
            unlike.fit_novelty,
            inputs=["model_input", "params:certainty"],
            outputs="novelty_model",
            name="fit_novelty",
            tags="cpu",
        ),
        node(
            unlike.flag_unlike_clips,
            inputs=["divisions", "params:certainty"],
            outputs="novelty",
            name="flag_unlike_clips",
            tags="cpu",
        ),
        node(
            certainty.calibrate_intervals,
            inputs=[
                *("point_predictions", "divisions", "novelty"),
                *("params:certainty", "params:seed"),
            ],
            outputs="interval_model",
            name="calibrate_intervals",
            tags="cpu",
        ),
        node(
            certainty.add_intervals,
            inputs=["point_predictions", "interval_model", "divisions", "novelty"],
            outputs="predictions",
            name="add_intervals",
            tags="cpu",
        ),
        node(
            certainty.measure_coverage,
            inputs=["point_predictions", "interval_model", "divisions", "novelty"],
            outputs="coverage",
            name="measure_coverage",
            tags="cpu",
        ),
        node(
            unlike.gather_evidence,
            inputs={
                **{name: name for name in ("divisions", "novelty", "point_predictions")},
                "certainty": "params:certainty",
                "seed": "params:seed",
                **{name: f"{name}_unlike_clips" for name in tables if MODALITIES[name].altered},
            },
            outputs="novelty_evidence",
            name="gather_evidence",
            tags="cpu",
        ),
    ]
