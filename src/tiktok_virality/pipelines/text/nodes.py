"""Words on screen, and one embedding for all that a clip says."""

from __future__ import annotations

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import Resources, StageItem, StagePlan
from tiktok_virality.models.text_configs import ScreenParameters, TextParameters
from tiktok_virality.schema import digest

NO_WORDS = "no words"
SWITCHED_OFF = "text.screen.enabled is false"


def read_screens(frames: StageTable, parameters: ScreenParameters) -> StagePlan:
    """Plan the reading of words on screen in every clip that has stills.

    Raises:
        WeightsError: They are to be read, and the package for it is not installed.
    """
    from tiktok_virality.models.text_encoder import require_ocr
    from tiktok_virality.stages.screen_words import ScreenReader

    reader = ScreenReader(parameters)
    if not parameters.enabled:
        off = [*frames.ids, *frames.absent, *frames.failed["video_id"]]
        return StagePlan(items=[], transform=reader, absent=dict.fromkeys(off, SWITCHED_OFF))
    require_ocr()
    return StagePlan(
        items=frames.items(["stills", "still_seconds"]),
        transform=reader,
        absent={**frames.absent, **dict.fromkeys(frames.failed["video_id"], "no frames")},
    )


def read_words(
    manifest: pd.DataFrame,
    audio_embeddings: StageTable,
    screen_words: StageTable,
    parameters: TextParameters,
) -> StagePlan:
    """Plan the embedding of all that is said and written in every clip.

    Raises:
        ParameterError: The encoder is not named.
        WeightsError: It has no weights here.
    """
    from tiktok_virality.models.text_encoder import find_text_checkpoint
    from tiktok_virality.stages.text import TextReader

    texts = gather_texts(manifest, audio_embeddings, screen_words, parameters.max_characters)
    said = {video_id: each for video_id, each in texts.items() if any(each.values())}
    return StagePlan(
        items=[
            StageItem(video_id=video_id, digest=digest(each)[:16], payload=each)
            for video_id, each in said.items()
        ],
        transform=TextReader(parameters, find_text_checkpoint(parameters)),
        absent={video_id: NO_WORDS for video_id in texts if video_id not in said},
        batch_size=parameters.batch_size,
        resources=Resources(in_process=parameters.library == "sentence_transformers"),
    )


def tabulate_texts(text_embeddings: StageTable) -> pd.DataFrame:
    """Return what each clip says, a row per clip that says anything; missing where it does not."""
    from tiktok_virality.stages.text import FIELDS

    texts = text_embeddings.to_frame(FIELDS).astype("str")
    return texts.mask(texts == "")


def gather_texts(
    manifest: pd.DataFrame,
    audio_embeddings: StageTable,
    screen_words: StageTable,
    max_characters: int,
) -> dict[str, dict[str, str]]:
    """Return the text of every field of every clip; empty where there is none."""
    written = manifest[["video_id", "caption", "hashtags"]].astype("string").fillna("")
    texts = {}
    for video_id, caption, hashtags in written.to_numpy():
        fields = {
            "caption": caption,
            "hashtags": hashtags,
            "transcript": _text_of(audio_embeddings, video_id),
            "screen": _text_of(screen_words, video_id),
        }
        texts[str(video_id)] = {
            name: str(text).strip()[:max_characters] for name, text in fields.items()
        }
    return texts


def _text_of(table: StageTable, video_id: str) -> str:
    return str(table.row(video_id, ["text"])["text"]) if video_id in table else ""
