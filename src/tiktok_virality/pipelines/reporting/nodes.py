"""Leaderboard, verdict, figures and report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.config import ReportingParameters
from tiktok_virality.evaluation.intervals import ClusterJackknife
from tiktok_virality.evaluation.leakage import check_no_leak
from tiktok_virality.evaluation.significance import ClusterSignFlips
from tiktok_virality.evaluation.splits import group_together
from tiktok_virality.evaluation.targets import Target, TargetParameters
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.modalities import PUBLISHED
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.pipelines.reporting import corpus, measured, sample
from tiktok_virality.pipelines.reporting.comparisons import PairedTests, best_baseline, seeds_of
from tiktok_virality.pipelines.reporting.evidence import (
    read_coverage,
    read_novelty,
    read_split_sensitivity,
)
from tiktok_virality.pipelines.reporting.json_values import json_ready
from tiktok_virality.pipelines.reporting.sample import SampledClip
from tiktok_virality.pipelines.reporting.target_words import TargetWords
from tiktok_virality.pipelines.reporting.verdict import reach_verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from plotly.graph_objects import Figure as Plot
else:  # Kedro resolves the annotations when it reads the registry, which loads neither
    Picture = Plot = Any


def build_leaderboard(
    predictions: pd.DataFrame,
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    target: TargetParameters,
    reporting: ReportingParameters,
    seed: int,
) -> list[dict[str, Any]]:
    """Measure every model on every split, with every seed that it was trained with.

    Args:
        predictions: ``video_id``, ``split``, ``model``, ``modality``, ``regime``, ``seed``,
            ``y_true`` and ``y_pred`` on the scale of the target, ``lower`` and ``upper``.
        manifest: Says which clips belong together.
        splits: ``video_id`` and ``split``.
        target: What was predicted.
        reporting: Of the intervals.
        seed: The main seed.

    Returns:
        A row per model, split and seed: test, calibration, validation, train; content-only models
        before those that know more; the least MSE first; the main seed before the others. Each has
        ``model``, ``modality``, ``regime``, ``role``, ``seed``, ``split``, ``n``, and each of the
        `METRICS` followed by its ``_low`` and ``_high``. Null stands for what does not exist: a
        correlation with a constant, and the intervals of the training split, whose clips the models
        know, and of splits of fewer than ten creators.

    Raises:
        DataError: The splits leak, or the predictions are broken or made with other splits.
    """
    check_no_leak(manifest, splits)
    measured.check_predictions(predictions, splits)
    ruler = measured.Ruler(
        yardstick=measured.yardstick_of(predictions, Target(parameters=target)),
        clusters=_clusters(manifest),
        jackknife=ClusterJackknife(confidence=reporting.confidence),
    )
    parts = predictions.groupby(["model", "split", "seed"])
    rows = measured.in_order([ruler.row(part) for _, part in parts], seed)
    return list(json_ready(rows))


def compare_models(
    leaderboard: list[dict[str, Any]],
    predictions: pd.DataFrame,
    manifest: pd.DataFrame,
    reporting: ReportingParameters,
    seed: int,
) -> list[dict[str, Any]]:
    """Compare the ensemble with every other model of its regime on the test split, clip by clip.

    Returns:
        A row per seed and model, the main seed first: ``reference``, ``role``, ``regime``, ``n``
        clips of how many ``clusters``; ``mse_gain`` (MSE of the reference less that of the
        ensemble) with ``low`` and ``high``; ``skill`` (the share of the reference's error that the
        ensemble does away with) with ``skill_low`` and ``skill_high``; ``p_value`` of a sign-flip
        test by creator; ``planned``: whether the reference is the baseline that is best on
        validation; ``p_adjusted``: the same for the planned comparison, and after Holm's
        correction for all others of that seed; ``significant``; ``outcome`` (better, worse or not
        distinguishable).

    Raises:
        DataError: The ensemble, or everything to compare it with, has no predictions; there is no
            baseline to beat.
    """
    tests = PairedTests(
        clusters=_clusters(manifest),
        jackknife=ClusterJackknife(confidence=reporting.confidence),
        sign_flips=ClusterSignFlips(flips=reporting.sign_flips, seed=seed),
    )
    test = predictions[predictions["split"] == "test"]
    to_beat = str(best_baseline(leaderboard)["model"])
    return list(json_ready(tests.compare_all(test, seeds_of(test, seed), to_beat)))


def judge_ensemble(
    leaderboard: list[dict[str, Any]],
    comparisons: list[dict[str, Any]],
    reporting: ReportingParameters,
) -> dict[str, Any]:
    """Say whether the ensemble is better than the baseline that is best on the validation split."""
    return dict(json_ready(reach_verdict(leaderboard, comparisons, reporting.confidence)))


def summarise_corpus(
    manifest: pd.DataFrame,
    rejected_videos: pd.DataFrame,
    splits: pd.DataFrame,
    ground_truth: dict[str, Any] | None,
    **embeddings: StageTable,
) -> dict[str, Any]:
    """Say how many clips of whom there are, what was lost on the way, and what was planted."""
    rows = corpus.split_rows(manifest, splits)
    summary = {
        "all": corpus.describe_split(rows),
        "splits": {
            str(name): corpus.describe_split(part)
            for name, part in rows.groupby("part", sort=False)
        },
        "rejected": corpus.describe_rejects(rejected_videos),
        "modalities": [corpus.describe_modality(name, table) for name, table in embeddings.items()],
        "synthetic": corpus.describe_planting(rows, ground_truth),
    }
    return dict(json_ready(summary))


def summarise_training(**models: TrainedModel) -> dict[str, Any]:
    """Return size and loss history of every trained model, by name."""
    return {
        model.name: {"parameter_count": model.parameter_count, "history": model.history}
        for model in models.values()
    }


def sample_held_out_clips(
    predictions: pd.DataFrame,
    verdict: dict[str, Any],
    manifest: pd.DataFrame,
    transcripts: pd.DataFrame | None,
    videos: VideoFiles,
    target: TargetParameters,
    reporting: ReportingParameters,
    seed: int,
) -> list[SampledClip]:
    """Take a random few clips of the test split, with what is seen, said, true and predicted."""
    test = measured.of_main_seed(predictions, seed, "test")
    words = _words(target)
    said: dict[str, str] = {}
    if transcripts is not None:
        said = dict(zip(transcripts["video_id"], transcripts["text"], strict=True))
    seconds = dict(zip(manifest["video_id"], manifest["duration_seconds"], strict=True))
    models = [verdict["model"], verdict["baseline"]]
    models += [PUBLISHED] if (test["model"] == PUBLISHED).any() else []
    by_model = {name: test[test["model"] == name].set_index("video_id") for name in models}
    ours = by_model[verdict["model"]]
    return [
        SampledClip(
            video_id=video_id,
            thumbnail=sample.thumbnail(videos[video_id]),
            transcript=said.get(video_id),
            duration_seconds=float(seconds[video_id]),
            actual=words.natural(ours.loc[video_id, "y_true"]),
            predicted={
                name: words.natural(rows.loc[video_id, "y_pred"]) for name, rows in by_model.items()
            },
            likely=sample.likely(
                float(ours.loc[video_id, "lower"]), float(ours.loc[video_id, "upper"]), words
            ),
        )
        for video_id in sample.choose_ids(test, reporting.sample_clips, seed)
    ]


def plot_autoencoder_loss(training_summary: dict[str, Any]) -> Plot:
    """Draw the autoencoder's loss on both splits, by epoch."""
    from tiktok_virality.pipelines.reporting import plots

    return plots.loss_plot(
        {"autoencoder": training_summary["autoencoder"]["history"]}, "loss (mean squared error)"
    )


def plot_ensemble_loss(training_summary: dict[str, Any]) -> Plot:
    """Draw the losses of the modality models, the ensemble and the early fusion, by epoch."""
    from tiktok_virality.pipelines.reporting import plots

    histories = {
        name: model["history"]
        for name, model in training_summary.items()
        if name != "autoencoder"  # its loss is of pixels
    }
    return plots.loss_plot(histories, "loss (mean squared error)", constant=1.0)


def plot_actual_vs_predicted(
    predictions: pd.DataFrame, verdict: dict[str, Any], target: TargetParameters, seed: int
) -> Plot:
    """Draw truth and prediction of the test split, of the ensemble and the best baseline."""
    from tiktok_virality.pipelines.reporting import plots

    test = measured.of_main_seed(predictions, seed, "test")
    models = [verdict["baseline"], verdict["model"]]
    return plots.actual_vs_predicted_plot(test, models, _words(target))


def plot_leaderboard(
    leaderboard: list[dict[str, Any]], verdict: dict[str, Any], target: TargetParameters
) -> Plot:
    """Draw the error of every model on the test split, with its interval and its seeds."""
    from tiktok_virality.pipelines.reporting import plots

    test = [row for row in leaderboard if row["split"] == "test"]
    return plots.leaderboard_plot(test, verdict["model"], verdict["baseline"], _words(target).scale)


def plot_comparisons(comparisons: list[dict[str, Any]]) -> Plot:
    """Draw what the ensemble gains on every other model, with intervals and p-values."""
    from tiktok_virality.pipelines.reporting import plots

    return plots.comparisons_plot(comparisons)


def plot_coverage(coverage: dict[str, Any] | None) -> Plot:
    """Draw how often the intervals of single clips held the truth, beside what they promise."""
    from tiktok_virality.pipelines.reporting import plots

    return plots.coverage_plot(read_coverage(coverage))


def plot_novelty(novelty_evidence: dict[str, Any] | None) -> Plot:
    """Draw how many clips of each unlike kind were flagged, beside ordinary ones."""
    from tiktok_virality.pipelines.reporting import plots

    return plots.novelty_plot(read_novelty(novelty_evidence))


def plot_split_sensitivity(split_sensitivity: list[dict[str, Any]] | None) -> Plot:
    """Draw the scores of the same models on the same clips under other ways of splitting."""
    from tiktok_virality.pipelines.reporting import plots

    return plots.split_sensitivity_plot(read_split_sensitivity(split_sensitivity))


def draw_reconstructions(reconstructions: dict[str, Any]) -> Picture:
    """Draw held-out clips over what the autoencoder made of them."""
    from tiktok_virality.pipelines.reporting import pictures

    return pictures.reconstructions_picture(pictures.film_strips(reconstructions))


def draw_clip_sample(clip_sample: list[SampledClip], target: TargetParameters) -> Picture:
    """Draw the sampled clips: thumbnail, words, truth and predictions."""
    from tiktok_virality.pipelines.reporting import pictures

    return pictures.clip_sample_picture(clip_sample, _words(target))


def tabulate_published(
    leaderboard: list[dict[str, Any]], predictions: pd.DataFrame, seed: int
) -> str:
    """Fill in Table 2 of the paper: errors in views of the published models, ours and constants.

    Returns:
        Markdown.

    Raises:
        DataError: The target is no count of views.
    """
    from tiktok_virality.pipelines.reporting import published

    return published.second_table(
        leaderboard, measured.of_main_seed(predictions, seed, "test")["video_id"].nunique()
    )


def draw_published(
    training_summary: dict[str, Any],
    predictions: pd.DataFrame,
    verdict: dict[str, Any],
    target: TargetParameters,
    seed: int,
) -> Picture:
    """Draw the figures of the paper: losses of both models, actual beside predicted views."""
    from tiktok_virality.pipelines.reporting import published

    test = measured.of_main_seed(predictions, seed, "test")
    return published.figures(training_summary, test, verdict["model"], _words(target))


def write_report(
    verdict: dict[str, Any],
    leaderboard: list[dict[str, Any]],
    comparisons: list[dict[str, Any]],
    corpus_summary: dict[str, Any],
    training_summary: dict[str, Any],
    clip_sample: list[SampledClip],
    clip_explanations: dict[str, Any],
    predictions: pd.DataFrame,
    coverage: dict[str, Any] | None,
    novelty_evidence: dict[str, Any] | None,
    split_sensitivity: list[dict[str, Any]] | None,
    target: TargetParameters,
    seed: int,
    parameters: dict[str, Any],
    reconstructions: dict[str, Any] | None = None,
    **plots: Plot,
) -> str:
    """Write the report as one page of HTML that needs nothing but itself.

    Raises:
        DataError: What was measured of intervals, unlike clips or splits is broken.
    """
    from tiktok_virality.pipelines.reporting import page

    return page.render(
        page.Results(
            verdict=verdict,
            leaderboard=leaderboard,
            comparisons=comparisons,
            corpus=corpus_summary,
            training=training_summary,
            clips=clip_sample,
            tested=sample.held_out_clips(predictions, verdict, seed, _words(target)),
            explained=frozenset(clip_explanations),
            reconstructions=reconstructions,
            coverage=read_coverage(coverage),
            novelty=read_novelty(novelty_evidence),
            split_scores=read_split_sensitivity(split_sensitivity),
            plots={name.removesuffix("_plot"): plot for name, plot in plots.items()},
            words=_words(target),
            parameters=parameters,
        )
    )


def _clusters(manifest: pd.DataFrame) -> dict[str, str]:
    """Return which clips belong together: by creator and duplicates, as splits keep them."""
    return {video_id: group[0] for group in group_together(manifest) for video_id in group}


def _words(target: TargetParameters) -> TargetWords:
    return TargetWords(target=Target(parameters=target))
