"""Clips that are not posted yet: which there are, and where each would likely land."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.conformal import (
    SHOWN_LEVEL,
    IntervalModel,
    interval_features,
)
from tiktok_virality.evaluation.novelty import NoveltyModel
from tiktok_virality.evaluation.targets import Target, TargetParameters
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.media.limits import ClipLimits
from tiktok_virality.models.pooling import POOLS, stack_pooled
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.pipelines.ingestion.nodes import PROBE_COLUMNS, usable_videos
from tiktok_virality.pipelines.ingestion.posts import FileFinder, parse_hashtags
from tiktok_virality.pipelines.modeling.certainty import JUDGED
from tiktok_virality.schema import DataError
from tiktok_virality.training.corpus import ClipTokens, read_tokens

WRITTEN: Final = ("caption", "hashtags")
"""What a table beside the clips may say of them."""

logger = logging.getLogger(__name__)


def list_unposted(videos: VideoFiles, unposted_posts: pd.DataFrame) -> pd.DataFrame:
    """Return the clips to be scored, with what is to be written under them.

    Args:
        videos: The files.
        unposted_posts: ``id`` or ``file``, ``caption`` and ``hashtags``, text or missing; may be
            empty.

    Returns:
        A row per file: ``video_id``, ``caption`` (missing where there is none), ``hashtags``, and
        ``reason`` and ``detail``, why a file is not read; missing where it is.

    Raises:
        DataError: There is no file.
    """
    if not videos:
        raise DataError(
            f"No clip in {videos.folder.absolute()}. Put the videos there that are to be scored, "
            "or name them: `tiktok-virality score CLIP`."
        )
    written = _written(videos, unposted_posts)
    rows = [
        {
            "video_id": video_id,
            "caption": caption,
            "hashtags": parse_hashtags(hashtags, caption),
            "reason": None if video.obstacle is None else "unreadable",
            "detail": video.obstacle,
        }
        for video_id, video in videos.items()
        for caption, hashtags in [written.get(video_id, (None, None))]
    ]
    return pd.DataFrame(rows).astype(
        dict.fromkeys(("video_id", "caption", "hashtags", "reason", "detail"), "str")
    )


def select_unposted(
    posts: pd.DataFrame, video_probes: StageTable, limits: ClipLimits
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep the clips that can be scored, and say of every other one why it cannot.

    Returns:
        The clips with what their files hold, and ``video_id``, ``stage``, ``reason``, ``detail`` of
        the others.

    Raises:
        DataError: None can be scored; the message says why.
    """
    kept, rejects = usable_videos(posts, video_probes, limits)
    for row in rejects.itertuples():
        logger.warning("%s is not scored: %s: %s", row.video_id, row.reason, row.detail)
    if kept.empty:
        reasons = "\n".join(
            f"  {row.video_id}: {row.reason}: {row.detail}" for row in rejects.itertuples()
        )
        raise DataError(f"No clip can be scored.\n{reasons}")
    return kept[["video_id", *WRITTEN, *PROBE_COLUMNS]].reset_index(drop=True), rejects


def gather_tokens(manifest: pd.DataFrame, **tables: StageTable) -> list[ClipTokens]:
    """Return what the models are told of each clip and when, in the order of the manifest.

    Args:
        manifest: ``video_id``.
        **tables: Of tokens, by modality.
    """
    return read_tokens(manifest["video_id"].tolist(), tables, timed=True)


def decide(clips: list[ClipTokens], ensemble: TrainedModel, **models: TrainedModel) -> pd.DataFrame:
    """Return what the ensemble says of each clip, and what each modality alone says.

    Args:
        clips: What is known of them.
        ensemble: The model whose answer counts.
        **models: Of single modalities, by name.

    Returns:
        On the scale of the target, a column per model; missing where a clip lacks the modality.
    """
    from tiktok_virality.training.predicting import predict_log_views

    decisions = {JUDGED: predict_log_views(ensemble, clips)}
    for name, model in models.items():
        there = np.array([name in clip.tokens for clip in clips])
        decisions[name] = np.where(there, predict_log_views(model, clips), np.nan)
    return pd.DataFrame(decisions)


def score_clips(
    clips: list[ClipTokens],
    decisions: pd.DataFrame,
    manifest: pd.DataFrame,
    corpus: pd.DataFrame,
    interval_model: dict[str, Any],
    novelty_model: dict[str, np.ndarray],
    target: TargetParameters,
    certainty: CertaintyParameters,
    texts: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Say where each clip would likely land.

    Args:
        clips: What the models were told of them.
        decisions: Of `decide`, in the same order.
        manifest: Of the clips, in the same order.
        corpus: The manifest of the clips that the models know, to compare with.
        interval_model: Of `calibrate_intervals`.
        novelty_model: Of `fit_novelty`.
        target: What is predicted.
        certainty: How often the flag may be wrong.
        texts: What each clip says, where somebody read it.

    Returns:
        A row per clip: ``video_id``; ``expected``, ``low`` and ``high``, in views where the target
        has views (half of clips so predicted should be watched more than expected, and four in five
        between low and high); ``percentile`` of the corpus, 0 to 100; ``unlike`` the training clips
        or not, with ``unlike_p``; ``alone_<modality>``, what that modality alone would expect;
        ``prediction``, ``lower`` and ``upper``, the same on the scale of the target; and the
        columns of `texts`. Missing where too few clips calibrated the interval, or a clip lacks it.
    """
    intervals = IntervalModel.model_validate(interval_model)
    said = decisions.drop(columns=JUDGED).to_numpy(dtype=np.float64).T
    prediction = decisions[JUDGED].to_numpy(dtype=np.float64)
    novelty = NoveltyModel.from_arrays(novelty_model)
    distances = novelty.distances(_pooled(clips, novelty))
    features = interval_features(
        prediction,
        log_duration=np.log(manifest["duration_seconds"].to_numpy(dtype=np.float64)),
        said=said,
        distances=distances,
    )
    lower, upper = intervals.intervals().apply(features, SHOWN_LEVEL, intervals.method)
    p_values = novelty.p_values(distances)
    scale = Target(parameters=target)
    scores = pd.DataFrame(
        {
            "video_id": manifest["video_id"],
            "expected": _counts(scale, prediction),
            "low": _counts(scale, lower),
            "high": _counts(scale, upper),
            "percentile": _percentiles(prediction, scale, corpus),
            "unlike": p_values <= certainty.novelty_alpha,
            "unlike_p": p_values,
            **{
                f"alone_{name}": _counts(scale, decisions[name].to_numpy(dtype=np.float64))
                for name in decisions.columns.drop(JUDGED)
            },
            "prediction": prediction,
            "lower": lower,
            "upper": upper,
        }
    )
    return scores if texts is None else scores.merge(texts, on="video_id", how="left")


def _written(
    videos: VideoFiles, posts: pd.DataFrame
) -> Mapping[str, tuple[str | None, str | None]]:
    """Return caption and hashtags by video; rows that mean no file are named in the log."""
    finder = FileFinder(videos)
    known = posts.astype("object").where(posts.notna(), None)
    written = {}
    for row in known.to_dict("records"):
        found = finder.find(row["id"], row["file"])
        if found is None:
            logger.warning(
                "The table beside the clips names %r, and there is no such file.",
                row["file"] or row["id"],
            )
        else:
            written[found] = (row["caption"], row["hashtags"])
    return written


def _pooled(clips: list[ClipTokens], novelty: NoveltyModel) -> dict[str, np.ndarray]:
    return {
        name: stack_pooled([clip.pooled.get(name) for clip in clips], rows.shape[1] // len(POOLS))
        for name, rows in novelty.training.items()
    }


def _counts(target: Target, values: np.ndarray) -> np.ndarray:
    """Return views, never below none, where the target has views; else the values themselves."""
    views = target.views(values)
    return values if views is None else np.maximum(views, 0)


def _percentiles(prediction: np.ndarray, target: Target, corpus: pd.DataFrame) -> np.ndarray:
    """Return how many of a hundred clips of the corpus have less."""
    truth = target.truth(corpus, np.ones(len(corpus), dtype=bool))
    known = np.sort(truth[~np.isnan(truth)])
    return 100 * np.searchsorted(known, prediction) / max(len(known), 1)
