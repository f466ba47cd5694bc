"""A few held-out clips to look at one by one: picture, words, truth and predictions."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.media.clip import EncodedVideo
from tiktok_virality.media.frames import FrameSampling, sample_frames
from tiktok_virality.pipelines.reporting import measured
from tiktok_virality.pipelines.reporting.target_words import TargetWords
from tiktok_virality.schema import MediaError

logger = logging.getLogger(__name__)

THUMBNAIL: Final = FrameSampling(every_nth=1, shrink=4, max_frames=3)


@dataclass(frozen=True, kw_only=True)
class SampledClip:
    """One held-out clip.

    Attributes:
        video_id: Key of the manifest.
        thumbnail: The frame from the middle of the clip, RGB, uint8 [3, H, W]; ``None`` where it
            cannot be decoded.
        transcript: What is said; ``None`` where there is nothing to listen to.
        duration_seconds: Its length.
        actual: What is true: a count, or a class where classes are predicted.
        predicted: What models predicted of it, by model.
        likely: The interval that the ensemble gives; ``None`` where it gives none.
    """

    video_id: str
    thumbnail: np.ndarray | None
    transcript: str | None
    duration_seconds: float
    actual: float
    predicted: Mapping[str, float]
    likely: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class HeldOutClip:
    """What came of one held-out clip: counts, or classes where classes are predicted.

    Attributes:
        video_id: Key of the manifest.
        actual: What is true.
        predicted: What the ensemble said.
        likely: The interval that it gives; ``None`` where it gives none.
    """

    video_id: str
    actual: float
    predicted: float
    likely: tuple[float, float] | None


def tested_by(predictions: pd.DataFrame, verdict: Mapping[str, Any], seed: int) -> pd.DataFrame:
    """Return what the model that the verdict is about predicted of held-out clips."""
    test = measured.of_main_seed(predictions, seed, "test")
    return test[test["model"] == verdict["model"]]


def held_out_clips(
    predictions: pd.DataFrame, verdict: Mapping[str, Any], seed: int, words: TargetWords
) -> list[HeldOutClip]:
    """Return what came of every held-out clip, the worst mistakes first."""
    ours = tested_by(predictions, verdict, seed)
    ours = ours.assign(error=(ours["y_pred"] - ours["y_true"]).abs())
    ours = ours.sort_values(["error", "video_id"], ascending=[False, True])
    columns = (ours[name].tolist() for name in ("video_id", "y_true", "y_pred", "lower", "upper"))
    return [
        HeldOutClip(
            video_id=video_id,
            actual=words.natural(actual),
            predicted=words.natural(predicted),
            likely=likely(lower, upper, words),
        )
        for video_id, actual, predicted, lower, upper in zip(*columns, strict=True)
    ]


def choose_ids(test: pd.DataFrame, wanted: int, seed: int) -> list[str]:
    """Return a random few ids, from the least to the most watched.

    Args:
        test: ``video_id`` and ``y_true`` of the test split; a clip may have several rows.
        wanted: How many, if there are so many.
        seed: Of the choice.
    """
    test = test.drop_duplicates("video_id").sort_values("video_id")
    size = min(wanted, len(test))
    chosen = np.random.default_rng(seed).choice(len(test), size, replace=False)
    return test.iloc[chosen].sort_values(["y_true", "video_id"])["video_id"].tolist()


def likely(lower: float, upper: float, words: TargetWords) -> tuple[float, float] | None:
    """Return an interval as what its ends stand for; ``None`` where an end is missing."""
    if math.isnan(lower) or math.isnan(upper):
        return None
    return words.natural(lower), words.natural(upper)


def thumbnail(video: EncodedVideo) -> np.ndarray | None:
    """Return the frame from the middle of a clip, uint8 [3, H, W]."""
    try:
        pixels = sample_frames(video.file, THUMBNAIL).pixels
    except MediaError as error:
        logger.warning("No thumbnail of %s: %s", video.video_id, error)
        return None
    return pixels[len(pixels) // 2]
