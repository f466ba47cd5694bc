"""What single words of a clip do to an answer, and when words are said and shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd
from kedro.pipeline import Pipeline, node, pipeline

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import Resources, StageItem, StagePlan
from tiktok_virality.models.text_configs import TextParameters
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.schema import digest
from tiktok_virality.training import occlusion
from tiktok_virality.training.corpus import ClipTokens

WEIGHED: Final = ("caption", "transcript")
"""Fields whose words are weighed."""

MOST_WORDS: Final = 60
"""Of a field; those behind them are not weighed."""

WORD: Final = re.compile(r"\S*\w\S*")
MODALITY: Final = "text"


def create_pipeline(**kwargs: Any) -> Pipeline:
    """Make ``word_effects`` and ``timed_words`` of ``clips``."""
    return pipeline(
        [
            node(
                leave_out_words,
                inputs=["text_embeddings", "params:text"],
                outputs="altered_texts",
                name="leave_out_words",
                tags="cpu",
            ),
            node(
                weigh_words,
                inputs=["clips", "manifest", "text_embeddings", "altered_texts", "ensemble"],
                outputs="word_effects",
                name="weigh_words",
                tags="cpu",
            ),
            node(
                time_words,
                inputs=["audio_embeddings", "screen_words"],
                outputs="timed_words",
                name="time_words",
                tags="cpu",
            ),
        ],
        tags="text",
    )


def leave_out_words(text_embeddings: StageTable, parameters: TextParameters) -> StagePlan:
    """Plan the embedding of every text without each of its words.

    Returns:
        An item for each word: ``<video_id>/<field>/<place>``.
    """
    from tiktok_virality.models.text_encoder import find_text_checkpoint
    from tiktok_virality.stages.text import FIELDS, TextReader

    items = [
        StageItem(video_id=_key(video_id, field, place), digest=digest(left)[:16], payload=left)
        for video_id, texts in text_embeddings.rows(columns=FIELDS)
        for field, place, _, left in _without_words(texts)
    ]
    return StagePlan(
        items=items,
        transform=TextReader(parameters, find_text_checkpoint(parameters)),
        batch_size=MOST_WORDS,
        resources=Resources(in_process=parameters.library == "sentence_transformers"),
    )


def weigh_words(
    clips: list[ClipTokens],
    manifest: pd.DataFrame,
    text_embeddings: StageTable,
    altered_texts: StageTable,
    ensemble: TrainedModel,
) -> pd.DataFrame:
    """Return how much each word of a caption or transcript lifts the answer.

    Returns:
        ``video_id``, ``field``, ``place`` of the word in it, ``word``, and ``effect`` on the scale
        of the target.
    """
    from tiktok_virality.stages.text import FIELDS

    rows = []
    for video_id, clip in zip(manifest["video_id"], clips, strict=True):
        if video_id not in text_embeddings:
            continue
        words = list(_without_words(text_embeddings.row(video_id, FIELDS)))
        altered = []
        for field, place, _, _ in words:
            tokens = altered_texts.row(_key(video_id, field, place), ["tokens"])["tokens"]
            altered.append(
                replace(clip, tokens={**clip.tokens, MODALITY: np.asarray(tokens, np.float32)})
            )
        _, effects = occlusion.effects(ensemble, clip, altered)
        for (field, place, word, _), effect in zip(words, effects, strict=True):
            rows.append((video_id, field, place, word, float(effect)))
    return pd.DataFrame(rows, columns=["video_id", "field", "place", "word", "effect"])


def time_words(audio_embeddings: StageTable, screen_words: StageTable) -> pd.DataFrame:
    """Return when words are said and shown.

    Returns:
        ``video_id``, ``start_seconds``, ``end_seconds``, ``field`` and ``line``.
    """
    rows = [
        (video_id, said["start_seconds"], said["end_seconds"], "transcript", said["text"].strip())
        for video_id, row in audio_embeddings.rows(columns=["segments"])
        for said in row["segments"]
    ]
    rows += [
        (video_id, line["first_seconds"], line["last_seconds"], "screen", line["text"])
        for video_id, row in screen_words.rows(columns=["lines"])
        for line in row["lines"]
    ]
    columns = ["video_id", "start_seconds", "end_seconds", "field", "line"]
    return pd.DataFrame(rows, columns=columns)


def _without_words(
    texts: Mapping[str, str],
) -> Iterator[tuple[str, int, str, dict[str, str]]]:
    """Yield the field, place and letters of each word, and all texts without it."""
    for field in WEIGHED:
        text = texts[field]
        for place, found in enumerate(WORD.finditer(text)):
            if place == MOST_WORDS:
                break
            left = " ".join(f"{text[: found.start()]} {text[found.end() :]}".split())
            yield field, place, found.group(), {**texts, field: left}


def _key(video_id: str, field: str, place: int) -> str:
    return f"{video_id}/{field}/{place}"
