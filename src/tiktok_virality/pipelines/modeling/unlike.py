"""The flag for clips unlike those of the training split, and the evidence that it works."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation import novelty as novelties
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.conformal import share_interval
from tiktok_virality.evaluation.novelty import NoveltyModel, flags_possible
from tiktok_virality.evaluation.unlike_clips import ALTERATIONS
from tiktok_virality.execution import Done, StageItem
from tiktok_virality.models.baselines import pool_tokens
from tiktok_virality.models.configs import MODALITIES
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.pipelines.modeling.certainty import JUDGED
from tiktok_virality.schema import SPLITS, DataError
from tiktok_virality.training.corpus import LabelledClips, ModelInput, pooled
from tiktok_virality.training.parameters import EmbeddingParameters

IDS: Final = "video_id"
NO_AUDIO_EVIDENCE: Final = (
    "Not measured, as only pictures were altered. The sound of a clip counts towards its distance, "
    "but nothing here shows that unlike sounds are found."
)

logger = logging.getLogger(__name__)


def fit_novelty(model_input: ModelInput, certainty: CertaintyParameters) -> dict[str, np.ndarray]:
    """Learn what clips are usual: from the training split, calibrated on the calibration split.

    Returns:
        A `NoveltyModel` as arrays.
    """
    model = novelties.fit_novelty(
        _embeddings(model_input.splits["train"], model_input),
        _embeddings(model_input.splits["calibration"], model_input),
        certainty.neighbours,
    )
    if not flags_possible(len(model.calibration), certainty.novelty_alpha):
        logger.warning(
            "No clip can be flagged as unlike the training clips: at %.0f %% false alarms that "
            "needs %d calibration clips, and there are %d.",
            100 * certainty.novelty_alpha,
            round(1 / certainty.novelty_alpha) - 1,
            len(model.calibration),
        )
    return model.to_arrays()


def flag_unlike_clips(
    model_input: ModelInput, novelty_model: dict[str, np.ndarray], certainty: CertaintyParameters
) -> pd.DataFrame:
    """Say of every clip that taught nothing how unlike the training clips it is.

    Returns:
        ``video_id``, ``split``, ``distance`` (about 1 is usual; missing where a clip has no
        tokens), ``p_value`` and ``flagged``.
    """
    model = NoveltyModel.from_arrays(novelty_model)
    tables = []
    for split in SPLITS[1:]:
        clips = model_input.splits[split]
        distances = model.distances(_embeddings(clips, model_input))
        p_values = model.p_values(distances)
        tables.append(
            pd.DataFrame(
                {
                    "video_id": list(clips.ids),
                    "split": split,
                    "distance": distances,
                    "p_value": p_values,
                    "flagged": p_values <= certainty.novelty_alpha,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def embed_unlike_clips(
    model_input: ModelInput,
    frames: StageTable,
    autoencoder: TrainedModel,
    embedding: EmbeddingParameters,
    certainty: CertaintyParameters,
    seed: int,
    device: str,
) -> dict[str, np.ndarray]:
    """Alter the frames of test clips in every way, and embed them as all clips are embedded.

    Returns:
        ``video_id`` [N], and each clip's pooled visual embedding after each alteration, [N, D].

    Raises:
        DataError: No test clip has frames.
    """
    from tiktok_virality.stages.embedding import ClipEmbedder

    there = [video_id for video_id in model_input.splits["test"].ids if video_id in frames]
    if not there:
        raise DataError("No test clip has frames, so none can be altered; see the log of `frames`.")
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(there), min(certainty.altered_clips, len(there)), replace=False)
    embedder = ClipEmbedder(autoencoder, (embedding.grid_height, embedding.grid_width), device)
    embedder.setup()
    ids = [there[index] for index in sorted(chosen)]
    tokens = [_embed_alterations(embedder, frames, video_id, rng) for video_id in ids]
    return {
        IDS: np.asarray(ids, dtype=np.str_),
        **{
            name: pool_tokens([each[name] for each in tokens], model_input.token_sizes["visual"])
            for name in ALTERATIONS
        },
    }


def gather_evidence(
    model_input: ModelInput,
    novelty_model: dict[str, np.ndarray],
    novelty: pd.DataFrame,
    unlike_clips: dict[str, np.ndarray],
    point_predictions: pd.DataFrame,
    certainty: CertaintyParameters,
    seed: int,
) -> dict[str, Any]:
    """Show whether the flag works: how often it is wrong, what it finds, and what it is good for.

    Returns:
        ``alpha``, ``calibration_clips``, ``can_flag``; ``false_alarms`` among test clips as they
        are; ``unlike``: for each alteration the share ``detected``, with a 95 % interval by
        creator, and the ``auroc`` against test clips as they are; ``audio``: what is not shown;
        ``error``: the mean absolute error of the ensemble on flagged and on other test clips, and
        the rank correlation of distance and absolute error.
    """
    model = NoveltyModel.from_arrays(novelty_model)
    test = model_input.splits["test"]
    table = novelty.set_index(IDS).loc[list(test.ids)].dropna(subset="distance")
    creators = pd.Series(test.groups.astype(str), index=list(test.ids))
    return {
        "alpha": certainty.novelty_alpha,
        "calibration_clips": len(model.calibration),
        "can_flag": flags_possible(len(model.calibration), certainty.novelty_alpha),
        "false_alarms": _share(table["flagged"], creators.loc[table.index]),
        "unlike": _detections(model, model_input, table, unlike_clips, certainty.novelty_alpha),
        "audio": NO_AUDIO_EVIDENCE,
        "error": _errors(table, point_predictions, seed),
    }


@dataclass(frozen=True, kw_only=True)
class _InMemory:
    """Frames that are there already, as a stage item's payload."""

    pixels: np.ndarray
    timestamps_seconds: np.ndarray

    def load(self) -> dict[str, np.ndarray]:
        return {"pixels": self.pixels, "timestamps_seconds": self.timestamps_seconds}


def _embed_alterations(
    embedder: Any, frames: StageTable, video_id: str, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return the tokens of one clip after each alteration, float32 [T, D]."""
    row = frames.row(video_id, ["pixels", "timestamps_seconds"])
    items = [
        StageItem(
            video_id=name,
            digest=name,
            payload=_InMemory(
                pixels=alter(row["pixels"], rng), timestamps_seconds=row["timestamps_seconds"]
            ),
        )
        for name, alter in ALTERATIONS.items()
    ]
    return {
        outcome.video_id: np.asarray(outcome.columns["tokens"], dtype=np.float32)
        for outcome in embedder(items)
        if isinstance(outcome, Done)
    }


def _detections(
    model: NoveltyModel,
    model_input: ModelInput,
    usual: pd.DataFrame,
    unlike_clips: dict[str, np.ndarray],
    alpha: float,
) -> list[dict[str, Any]]:
    test = model_input.splits["test"]
    places = [list(test.ids).index(video_id) for video_id in unlike_clips[IDS]]
    unaltered = _embeddings(test, model_input)
    rows = []
    for name in ALTERATIONS:
        altered = {key: values[places] for key, values in unaltered.items()}
        altered["visual"] = unlike_clips[name]
        distances = model.distances(altered)
        flagged = pd.Series(model.p_values(distances) <= alpha)
        rows.append(
            {
                "alteration": name,
                **_share(flagged, pd.Series(test.groups[places].astype(str))),
                "auroc": novelties.separation(usual["distance"].to_numpy(), distances),
            }
        )
    return rows


def _errors(table: pd.DataFrame, point_predictions: pd.DataFrame, seed: int) -> dict[str, Any]:
    from scipy.stats import spearmanr

    ours = (point_predictions["model"] == JUDGED) & (point_predictions["seed"] == seed)
    rows = point_predictions[ours].set_index(IDS).loc[table.index]
    error = (rows["y_pred"] - rows["y_true"]).abs()
    flagged = table["flagged"]
    correlation = float(spearmanr(table["distance"], error).statistic) if len(table) > 2 else None
    return {
        **{
            name: {
                "n": int(chosen.sum()),
                "mean_absolute_error": float(error[chosen].mean()) if chosen.any() else None,
            }
            for name, chosen in (("flagged", flagged), ("others", ~flagged))
        },
        "spearman_of_distance": correlation,
    }


def _share(flagged: pd.Series, creators: pd.Series) -> dict[str, Any]:
    """Return how many of how many clips are flagged, with the interval of the share."""
    share, interval = share_interval(flagged.to_numpy(dtype=np.float64), creators.to_numpy())
    return {"n": len(flagged), "flagged": share, "low": interval.low, "high": interval.high}


def _embeddings(clips: LabelledClips, model_input: ModelInput) -> dict[str, np.ndarray]:
    """Return pooled embeddings by modality, [N, D]; NaN where a clip lacks it."""
    features = pooled(clips, model_input.token_sizes)
    return {name: getattr(features, name) for name in MODALITIES}
