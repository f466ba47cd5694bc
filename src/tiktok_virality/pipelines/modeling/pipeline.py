"""The wiring of the modeling pipeline."""

from __future__ import annotations

from typing import Any

from kedro.pipeline import Node, Pipeline, node, pipeline

from tiktok_virality.pipelines.modeling import certainty, nodes, redivision, unlike

RUN_INPUTS = ["params:seed", "params:device", "checkpoints"]


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``baselines``, the models, ``predictions`` with intervals, and what these are worth."""
    return pipeline(
        [
            node(
                nodes.assemble_clips,
                inputs=[
                    *("manifest", "splits", "visual_embeddings", "audio_embeddings"),
                    "params:modeling.target",
                ],
                outputs="model_input",
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
            _training(nodes.train_visual_model, "visual_model"),
            _training(nodes.train_audio_model, "audio_model"),
            _training(nodes.train_early_fusion, "early_fusion"),
            node(
                nodes.train_ensemble,
                inputs=[
                    "model_input",
                    "visual_model",
                    "audio_model",
                    "params:modeling.transformer",
                    "params:modeling.fine_tuning",
                    *RUN_INPUTS,
                ],
                outputs="ensemble",
                name="train_ensemble",
                tags=["gpu", "training"],
            ),
            node(
                nodes.fit_late_fusions,
                inputs=["model_input", "visual_model", "audio_model"],
                outputs="late_fusions",
                name="fit_late_fusions",
                tags=["cpu", "training"],
            ),
            node(
                nodes.repeat_with_other_seeds,
                inputs=[
                    "model_input",
                    "params:modeling.transformer",
                    "params:modeling.training",
                    "params:modeling.fine_tuning",
                    "params:modeling.repeats",
                    *RUN_INPUTS,
                ],
                outputs="repeated_predictions",
                name="repeat_with_other_seeds",
                tags=["gpu", "training"],
            ),
            node(
                nodes.predict,
                inputs=[
                    *("model_input", "baselines", "rehearsed_baselines"),
                    *("visual_model", "audio_model", "early_fusion", "ensemble"),
                    *("late_fusions", "repeated_predictions", "params:seed"),
                ],
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
            *_certainty(),
        ],
        namespace="modeling",
        prefix_datasets_with_namespace=False,
        tags="modeling",
    )


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


def _certainty() -> list[Node]:
    """Intervals for a single clip, the flag for unlike clips, and the evidence for both."""
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
            inputs=["model_input", "novelty_model", "params:certainty"],
            outputs="novelty",
            name="flag_unlike_clips",
            tags="cpu",
        ),
        node(
            certainty.calibrate_intervals,
            inputs=[
                *("point_predictions", "model_input", "novelty"),
                *("params:certainty", "params:seed"),
            ],
            outputs="interval_model",
            name="calibrate_intervals",
            tags="cpu",
        ),
        node(
            certainty.add_intervals,
            inputs=["point_predictions", "interval_model", "model_input", "novelty"],
            outputs="predictions",
            name="add_intervals",
            tags="cpu",
        ),
        node(
            redivision.measure_redivided_coverage,
            inputs=[
                *("model_input", "manifest", "visual_embeddings", "audio_embeddings"),
                *("params:modeling.target", "params:ingestion.splits"),
                *("params:modeling.transformer", "params:modeling.training"),
                *("params:modeling.fine_tuning", "params:certainty"),
                *RUN_INPUTS,
            ],
            outputs="redivided_coverage",
            name="measure_redivided_coverage",
            tags=["gpu", "training"],
        ),
        node(
            certainty.measure_coverage,
            inputs=[
                *("point_predictions", "interval_model", "model_input", "novelty"),
                "redivided_coverage",
            ],
            outputs="coverage",
            name="measure_coverage",
            tags="cpu",
        ),
        node(
            unlike.embed_unlike_clips,
            inputs=[
                *("model_input", "frames", "autoencoder", "params:visual.embedding"),
                *("params:certainty", "params:seed", "params:device"),
            ],
            outputs="unlike_clips",
            name="embed_unlike_clips",
            tags="gpu",
        ),
        node(
            unlike.gather_evidence,
            inputs=[
                *("model_input", "novelty_model", "novelty", "unlike_clips"),
                *("point_predictions", "params:certainty", "params:seed"),
            ],
            outputs="novelty_evidence",
            name="gather_evidence",
            tags="cpu",
        ),
    ]
