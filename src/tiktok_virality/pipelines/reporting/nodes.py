"""Leaderboard, verdict, figures and report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.config import ReportingParameters
from tiktok_virality.evaluation.intervals import ClusterBootstrap, Interval
from tiktok_virality.evaluation.leakage import check_no_leak
from tiktok_virality.evaluation.metrics import METRICS, regression_metrics
from tiktok_virality.evaluation.splits import group_together
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.models.baselines import FEATURES_OF
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.pipelines.reporting import corpus, sample
from tiktok_virality.pipelines.reporting.json_values import json_ready
from tiktok_virality.pipelines.reporting.sample import SampledClip
from tiktok_virality.pipelines.reporting.verdict import reach_verdict
from tiktok_virality.schema import DataError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from plotly.graph_objects import Figure as Plot
else:  # Kedro resolves the annotations when it reads the registry, which loads neither
    Picture = Plot = Any

SPLITS_BY_WORTH = ("test", "calibration", "validation", "train")
NOTHING_TO_SAY = Interval(low=float("nan"), high=float("nan"))


def build_leaderboard(
    predictions: pd.DataFrame,
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    reporting: ReportingParameters,
    seed: int,
) -> list[dict[str, Any]]:
    """Measure every model on every split.

    Args:
        predictions: ``video_id``, ``split``, ``model``, ``modality``, ``y_true``, ``y_pred``.
        manifest: Says which clips belong together.
        splits: ``video_id`` and ``split``.
        reporting: Of the intervals.
        seed: Of the resamples.

    Returns:
        A row per model and split, test, calibration, validation, train and the least MSE first:
        ``model``, ``modality``, ``split``, ``n``, and each of the `METRICS` followed by its
        ``_low`` and ``_high``. Null stands for what does not exist: a correlation with a constant,
        and the intervals of the training split, whose clips the models know.

    Raises:
        DataError: The splits leak, or the predictions were made with other splits.
    """
    check_no_leak(manifest, splits)
    _check_same_splits(predictions, splits)
    bootstrap = _bootstrap(reporting, seed)
    clusters = _clusters(manifest)
    rows = [
        _row(str(model), str(split), part, clusters, bootstrap)
        for (model, split), part in predictions.groupby(["model", "split"])
    ]
    rows.sort(key=lambda row: (SPLITS_BY_WORTH.index(row["split"]), row["mse"], row["model"]))
    return list(json_ready(rows))


def compare_models(
    predictions: pd.DataFrame,
    leaderboard: list[dict[str, Any]],
    manifest: pd.DataFrame,
    reporting: ReportingParameters,
    seed: int,
) -> dict[str, Any]:
    """Say whether the ensemble is better than the baseline that is best on the validation split.

    The test split is not asked which baseline is best: that choice would flatter the baseline.
    """
    baselines = {
        row["model"]: row["mse"]
        for row in leaderboard
        if row["split"] == "validation" and row["model"] in FEATURES_OF
    }
    verdict = reach_verdict(
        predictions, baselines, _clusters(manifest), _bootstrap(reporting, seed)
    )
    return dict(json_ready(verdict))


def summarise_corpus(
    manifest: pd.DataFrame,
    rejected_videos: pd.DataFrame,
    splits: pd.DataFrame,
    frames: StageTable,
    audio_embeddings: StageTable,
    ground_truth: dict[str, Any] | None,
) -> dict[str, Any]:
    """Say how many clips of whom there are, what was lost on the way, and what was planted."""
    rows = corpus.split_rows(manifest, splits)
    summary = {
        "all": corpus.describe_split(rows),
        "splits": {
            str(name): corpus.describe_split(part)
            for name, part in rows.groupby("split", sort=False)
        },
        "rejected": corpus.describe_rejects(rejected_videos),
        "stages": [
            corpus.describe_stage("frames", frames),
            corpus.describe_stage("audio_embeddings", audio_embeddings),
        ],
        "synthetic": corpus.describe_planting(rows, ground_truth),
    }
    return dict(json_ready(summary))


def summarise_training(
    autoencoder: TrainedModel,
    visual_model: TrainedModel,
    audio_model: TrainedModel,
    early_fusion: TrainedModel,
    ensemble: TrainedModel,
) -> dict[str, Any]:
    """Return size and loss history of every trained model, by name."""
    models = (autoencoder, visual_model, audio_model, early_fusion, ensemble)
    return {
        model.name: {"parameter_count": model.parameter_count, "history": model.history}
        for model in models
    }


def sample_held_out_clips(
    predictions: pd.DataFrame,
    verdict: dict[str, Any],
    manifest: pd.DataFrame,
    transcripts: pd.DataFrame,
    videos: VideoFiles,
    reporting: ReportingParameters,
    seed: int,
) -> list[SampledClip]:
    """Take a random few clips of the test split, with what is seen, said, true and predicted."""
    ids = sample.choose_ids(predictions, reporting.sample_clips, seed)
    words = dict(zip(transcripts["video_id"], transcripts["text"], strict=True))
    seconds = dict(zip(manifest["video_id"], manifest["duration_seconds"], strict=True))
    views = dict(zip(manifest["video_id"], manifest["views"], strict=True))
    predicted = {
        name: np.expm1(
            predictions[predictions["model"] == name].set_index("video_id")["y_pred"]
        ).to_dict()
        for name in (verdict["model"], verdict["baseline"])
    }
    return [
        SampledClip(
            video_id=video_id,
            thumbnail=sample.thumbnail(videos[video_id]),
            transcript=words.get(video_id),
            duration_seconds=float(seconds[video_id]),
            views=float(views[video_id]),
            predicted={name: by_clip[video_id] for name, by_clip in predicted.items()},
        )
        for video_id in ids
    ]


def plot_autoencoder_loss(training_summary: dict[str, Any]) -> Plot:
    """Draw the autoencoder's loss on both splits, by epoch."""
    from tiktok_virality.pipelines.reporting import plots

    return plots.loss_plot(
        {"autoencoder": training_summary["autoencoder"]["history"]}, "loss (mean squared error)"
    )


def plot_ensemble_loss(training_summary: dict[str, Any]) -> Plot:
    """Draw the losses of both modality models, the ensemble and the early fusion, by epoch."""
    from tiktok_virality.pipelines.reporting import plots

    histories = {name: model["history"] for name, model in training_summary.items()}
    del histories["autoencoder"]
    return plots.loss_plot(histories, "loss (mean squared error)", constant=1.0)


def plot_actual_vs_predicted(predictions: pd.DataFrame, verdict: dict[str, Any]) -> Plot:
    """Draw true and predicted views of the test split, of the ensemble and the best baseline."""
    from tiktok_virality.pipelines.reporting import plots

    test = predictions[predictions["split"] == "test"]
    return plots.actual_vs_predicted_plot(test, [verdict["baseline"], verdict["model"]])


def plot_leaderboard(leaderboard: list[dict[str, Any]], verdict: dict[str, Any]) -> Plot:
    """Draw the error of every model on the test split, with its interval."""
    from tiktok_virality.pipelines.reporting import plots

    test = [row for row in leaderboard if row["split"] == "test"]
    return plots.leaderboard_plot(test, verdict["model"], verdict["baseline"])


def draw_reconstructions(reconstructions: dict[str, Any]) -> Picture:
    """Draw held-out clips over what the autoencoder made of them."""
    from tiktok_virality.pipelines.reporting import pictures

    return pictures.reconstructions_picture(pictures.film_strips(reconstructions))


def draw_clip_sample(clip_sample: list[SampledClip]) -> Picture:
    """Draw the sampled clips: thumbnail, words, truth and predictions."""
    from tiktok_virality.pipelines.reporting import pictures

    return pictures.clip_sample_picture(clip_sample)


def write_report(
    verdict: dict[str, Any],
    leaderboard: list[dict[str, Any]],
    corpus_summary: dict[str, Any],
    training_summary: dict[str, Any],
    clip_sample: list[SampledClip],
    reconstructions: dict[str, Any],
    leaderboard_plot: Plot,
    actual_vs_predicted_plot: Plot,
    ensemble_loss_plot: Plot,
    autoencoder_loss_plot: Plot,
    parameters: dict[str, Any],
) -> str:
    """Write the report as one page of HTML that needs nothing but itself."""
    from tiktok_virality.pipelines.reporting import page

    return page.render(
        page.Results(
            verdict=verdict,
            leaderboard=leaderboard,
            corpus=corpus_summary,
            training=training_summary,
            clips=clip_sample,
            reconstructions=reconstructions,
            plots={
                "leaderboard": leaderboard_plot,
                "actual_vs_predicted": actual_vs_predicted_plot,
                "ensemble_loss": ensemble_loss_plot,
                "autoencoder_loss": autoencoder_loss_plot,
            },
            parameters=parameters,
        )
    )


def _row(
    model: str,
    split: str,
    part: pd.DataFrame,
    clusters: Mapping[str, str],
    bootstrap: ClusterBootstrap,
) -> dict[str, Any]:
    try:
        metrics = regression_metrics(part["y_true"], part["y_pred"])
    except ValueError as error:
        raise DataError(f"Predictions of {model!r} on the {split} split: {error}") from None
    intervals = dict.fromkeys(METRICS, NOTHING_TO_SAY)
    if split != "train":
        groups = [clusters[video_id] for video_id in part["video_id"]]
        intervals = bootstrap.metric_intervals(part["y_true"], part["y_pred"], groups)
    row: dict[str, Any] = {
        "model": model,
        "modality": part["modality"].iloc[0],
        "split": split,
        "n": metrics["n"],
    }
    for name in METRICS:
        row[name] = metrics[name]
        row[f"{name}_low"], row[f"{name}_high"] = intervals[name].low, intervals[name].high
    return row


def _check_same_splits(predictions: pd.DataFrame, splits: pd.DataFrame) -> None:
    current = dict(zip(splits["video_id"], splits["split"], strict=True))
    used = predictions[["video_id", "split"]].drop_duplicates()
    moved = [i for i, split in used.itertuples(index=False) if current.get(i) != split]
    if moved:
        raise DataError(
            f"The predictions were made with other splits than the present ones: {len(moved)} "
            f"clips have moved, such as {moved[0]!r}. Run the modeling pipeline again: "
            "`kedro run --pipeline modeling`."
        )


def _clusters(manifest: pd.DataFrame) -> dict[str, str]:
    """Return which clips belong together: by creator and duplicates, as splits keep them."""
    return {video_id: group[0] for group in group_together(manifest) for video_id in group}


def _bootstrap(reporting: ReportingParameters, seed: int) -> ClusterBootstrap:
    return ClusterBootstrap(
        resamples=reporting.resamples, confidence=reporting.confidence, seed=seed
    )
