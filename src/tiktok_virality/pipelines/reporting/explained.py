"""Why held-out clips got their answers: a page beside the report, to which the report links."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.config import ReportingParameters
from tiktok_virality.evaluation.cross_fitting import is_cross_fitted
from tiktok_virality.evaluation.targets import Target, TargetParameters
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.pipelines.reporting import sample
from tiktok_virality.pipelines.reporting.target_words import TargetWords

TEMPLATE: Final = "clips.html.j2"
PICTURE: Final = (72, 128)


def explain_held_out_clips(
    predictions: pd.DataFrame,
    verdict: dict[str, Any],
    manifest: pd.DataFrame,
    frames: StageTable,
    ensemble: TrainedModel,
    novelty_model: dict[str, np.ndarray],
    target: TargetParameters,
    reporting: ReportingParameters,
    seed: int,
    **tables: StageTable,
) -> dict[str, Any]:
    """Say what moves the answer about each tested clip.

    The model that is served is asked. Where every clip is tested it has learned from them all, so
    it may say other than the models of the folds, whose answers the report counts.

    Args:
        predictions: Of all models.
        verdict: Names the model.
        manifest: Of the corpus.
        frames: With stills.
        ensemble: The model that is served.
        novelty_model: Of `fit_novelty`.
        target: What is predicted.
        reporting: How many clips.
        seed: Of the choice, where there are more.
        **tables: Of tokens, by modality.

    Returns:
        Of `explain_clips`, from the least to the most watched.
    """
    from tiktok_virality.pipelines.scoring.explaining import Detail, explain_clips
    from tiktok_virality.training.corpus import read_tokens

    tested = sample.tested_by(predictions, verdict, seed)
    ids = sample.choose_ids(tested, reporting.explained_clips, seed)
    chosen = manifest.set_index("video_id").loc[ids].reset_index()
    return explain_clips(
        read_tokens(ids, tables, timed=True),
        chosen,
        frames,
        manifest,
        ensemble,
        novelty_model,
        target,
        detail=Detail(by_modality=False, picture=PICTURE),
    )


def write_clips_page(
    clip_explanations: dict[str, Any],
    predictions: pd.DataFrame,
    verdict: dict[str, Any],
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    target: TargetParameters,
    seed: int,
) -> str:
    """Write the explained clips as one page of HTML, an anchor for each.

    Args:
        clip_explanations: Of `explain_held_out_clips`.
        predictions: Of all models.
        verdict: Names the model.
        manifest: Says when a clip is how long, and what stands under it.
        splits: Say whether every clip is tested.
        target: What is predicted.
        seed: The main one.
    """
    from tiktok_virality.pipelines.reporting.page import write_page

    words = TargetWords(target=Target(parameters=target))
    held_out = sample.held_out_clips(predictions, verdict, seed, words)
    tested = {clip.video_id: clip for clip in held_out}
    captions = dict(zip(manifest["video_id"], manifest["caption"].fillna(""), strict=True))
    clips = [
        {
            **vars(tested[video_id]),
            "caption": captions[video_id],
            "served": words.natural(why["prediction"]),
            "strongest": max((abs(each["effect"]) for each in why["moments"]), default=0.0),
            "heaviest": max((abs(each["effect"]) for each in why["modalities"]), default=0.0),
            "moments": [
                {**each, "picture": _nearest_picture(why["pictures"], each)}
                for each in why["moments"]
            ],
            "modalities": sorted(why["modalities"], key=lambda each: -abs(each["effect"])),
            "alike": why["alike"],
        }
        for video_id, why in clip_explanations.items()
    ]
    return write_page(
        TEMPLATE,
        {},
        clips=clips,
        explained=frozenset(clip_explanations),
        tested=len(tested),
        words=words,
        folds=is_cross_fitted(splits),
    )


def _nearest_picture(pictures: list[dict[str, Any]], moment: dict[str, Any]) -> str | None:
    """Return the still that is nearest to the middle of a moment, as base64."""
    middle = (moment["start_seconds"] + moment["end_seconds"]) / 2
    nearest = min(pictures, key=lambda each: abs(each["seconds"] - middle), default=None)
    return None if nearest is None else str(nearest["jpeg"])
