"""The wiring of scoring: the stages of training on other clips, then the models that it left."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.modalities import MODALITIES
from tiktok_virality.pipelines import ingestion
from tiktok_virality.pipelines import modalities as every_modality
from tiktok_virality.pipelines.scoring import explaining, nodes

SPLITS: Final = "splits"
"""What reads it learns from clips, or is judged on them; neither happens here."""

DECODED: Final = ("video_probes", "frames", "waveforms")
"""What ingestion makes of a clip, whether or not it was posted."""

TEXTS: Final = "texts"

EXPLAINING: Final = "explaining"
"""The tag of nodes that only say why."""

PARTS: Final = ("word_effects", "timed_words")
"""What modalities may know of why: made by the pipeline that `Modality.explained_by` names."""


def create_pipeline(modalities: Sequence[str] = tuple(MODALITIES), **kwargs: Any) -> Pipeline:
    """Make ``scores`` and ``explanations`` of the clips in ``unposted_videos``.

    Args:
        modalities: Those that the models were trained on.
        **kwargs: Not used.
    """
    decoding = ingestion.create_pipeline().only_nodes_with_outputs(*DECODED)
    reading = every_modality.create_pipeline(modalities)
    tokens = Pipeline([each for each in reading.nodes if SPLITS not in each.inputs])
    learned = {
        *("ensemble", "interval_model", "novelty_model"),
        *(f"{name}_model" for name in modalities),
        *(name for name in reading.all_outputs() if name not in tokens.all_outputs()),
    }
    why = _explaining(modalities)
    scoring = decoding + tokens + Pipeline(_nodes(modalities, tokens.all_outputs())) + why
    return pipeline(
        scoring,
        namespace="scoring",
        inputs={
            "videos": "unposted_videos",
            "unposted_posts": "unposted_posts",
            "corpus": "manifest",
            **{name: name for name in learned & scoring.inputs()},
        },
        outputs={name: name for name in ("scores", "unscored", "explanations")},
        parameters={name for name in scoring.inputs() if name.startswith("params:")},
        tags="scoring",
    )


def _explaining(modalities: Sequence[str]) -> Pipeline:
    makers = [module for name in modalities if (module := MODALITIES[name].explained_by)]
    parts = sum((import_module(module).create_pipeline() for module in makers), Pipeline([]))
    explain = node(
        explaining.explain_clips,
        inputs={
            **{n: n for n in ("clips", "manifest", "frames")},
            **{n: n for n in ("corpus", "ensemble", "novelty_model")},
            "target": "params:modeling.target",
            **{name: name for name in PARTS if name in parts.all_outputs()},
        },
        outputs="explanations",
        name="explain_clips",
        tags="cpu",
    )
    return pipeline(parts + Pipeline([explain]), tags=EXPLAINING)


def _nodes(modalities: Sequence[str], made: set[str]) -> list[Any]:
    return [
        node(
            nodes.list_unposted,
            inputs=["videos", "unposted_posts"],
            outputs="posts",
            name="list_unposted",
            tags="cpu",
        ),
        node(
            nodes.select_unposted,
            inputs=["posts", "video_probes", "params:ingestion.limits"],
            outputs=["manifest", "unscored"],
            name="select_unposted",
            tags="cpu",
        ),
        node(
            nodes.gather_tokens,
            inputs={"manifest": "manifest", **{name: f"{name}_embeddings" for name in modalities}},
            outputs="clips",
            name="gather_tokens",
            tags="cpu",
        ),
        node(
            nodes.decide,
            inputs={
                **{name: name for name in ("clips", "ensemble")},
                **{name: f"{name}_model" for name in modalities},
            },
            outputs="decisions",
            name="decide",
            tags="cpu",
        ),
        node(
            nodes.score_clips,
            inputs={
                **{n: n for n in ("clips", "decisions", "manifest", "corpus")},
                **{n: n for n in ("interval_model", "novelty_model")},
                "target": "params:modeling.target",
                "certainty": "params:certainty",
                **({TEXTS: TEXTS} if TEXTS in made else {}),
            },
            outputs="scores",
            name="score_clips",
            tags="cpu",
        ),
    ]
