"""Frames at the finest setting, an autoencoder per setting, and what the comparison says."""

from __future__ import annotations

import logging
from itertools import product
from typing import TYPE_CHECKING, Any

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import StagePlan
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.schema import DataError
from tiktok_virality.storage import Place
from tiktok_virality.training.parameters import StudyParameters

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Plot
else:  # Kedro resolves the annotations when it reads the registry, which loads no plotly
    Plot = Any

logger = logging.getLogger(__name__)

SPLITS_OF_STUDY = ("train", "validation")
"""Training clips teach and tell when to stop; validation clips are drawn again."""


def extract_study_frames(
    manifest: pd.DataFrame, splits: pd.DataFrame, videos: VideoFiles, study: StudyParameters
) -> StagePlan:
    """Plan the decoding of training and validation clips at the finest setting."""
    from tiktok_virality.stages.frames import FrameExtractor
    from tiktok_virality.stages.probing import video_items

    wanted = splits.loc[splits["split"].isin(SPLITS_OF_STUDY), "video_id"]
    rows = manifest[manifest["video_id"].isin(wanted)]
    hashes = dict(zip(rows["video_id"], rows["content_hash"], strict=True))
    return StagePlan(
        items=video_items(videos, rows["video_id"], hashes),
        transform=FrameExtractor(study.sampling),
    )


def compare_frame_settings(
    study_frames: StageTable,
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    study: StudyParameters,
    seed: int,
    device: str,
    checkpoints: Place,
) -> list[dict[str, Any]]:
    """Train an autoencoder per stride, shrink factor and seed, and measure all on the same frames.

    Returns:
        A row each: ``every_nth``, ``shrink``, ``seed``, and what
        `training.frame_study.measure_setting` returns.

    Raises:
        DataError: A split has no frames, or the training split holds one creator only.
    """
    from tiktok_virality.training.frame_study import hold, measure_setting
    from tiktok_virality.training.launcher import TrainingRun

    clips = _divide(study_frames, manifest, splits, study, seed)
    dense = hold(study_frames, clips)
    used = [[study_frames.digests[i] for i in ids] for ids in (clips.train, clips.stopping)]
    rows = []
    for shrink, every_nth, number in product(study.shrink, study.every_nth, range(study.seeds)):
        setting = {"every_nth": every_nth, "shrink": shrink, "seed": seed + number}
        run = TrainingRun.of(
            "study",
            [study_frames.fingerprint, used, setting, study.model_dump(mode="json")],
            checkpoints=checkpoints,
            seed=seed + number,
            device=device,
            quiet=True,
        )
        measured = measure_setting(dense, clips, study, every_nth=every_nth, shrink=shrink, run=run)
        logger.info(
            "study: %s, own error %.5f, common error %.5f",
            setting,
            measured["own_error"],
            measured["common_error"],
        )
        rows.append({**setting, **measured})
    return rows


def draw_frame_study(frame_study: list[dict[str, Any]]) -> Plot:
    """Draw the errors by stride: each setting on its own frames, and all on the same."""
    from tiktok_virality.pipelines.study.figure import frame_study_plot

    return frame_study_plot(frame_study)


def state_finding(frame_study: list[dict[str, Any]]) -> str:
    """Say in one paragraph what the numbers show."""
    from tiktok_virality.pipelines.study.finding import finding

    return finding(frame_study)


def _divide(
    frames: StageTable,
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    study: StudyParameters,
    seed: int,
) -> Any:
    """Return who teaches, who tells when to stop, and who is measured."""
    from tiktok_virality.training.folds import set_aside
    from tiktok_virality.training.frame_study import StudyClips

    rows = manifest[["video_id", "creator_id"]].merge(splits, on="video_id").sort_values("video_id")
    rows = rows[rows["video_id"].isin(frames.ids)]
    train, validation = (rows[rows["split"] == split] for split in SPLITS_OF_STUDY)
    creators = train["creator_id"].fillna(train["video_id"]).to_numpy(dtype=object)
    if validation.empty or len(set(creators)) < 2:
        raise DataError(
            f"The study has frames of {len(set(creators))} training creators and of "
            f"{len(validation)} validation clips, and needs at least 2 and 1. Look at the failures "
            "of the stage `study_frames` in the log, or add videos."
        )
    learning, stopping = set_aside(creators, share=study.stopping_share, seed=seed)
    ids = train["video_id"].to_numpy()
    return StudyClips(
        train=ids[learning].tolist(),
        stopping=ids[stopping].tolist(),
        measured=validation["video_id"].tolist(),
    )
