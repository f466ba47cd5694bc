"""The flag for clips unlike those of the training split, and the evidence that it works."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from tiktok_virality.evaluation import novelty as novelties
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.conformal import share_interval
from tiktok_virality.evaluation.novelty import NoveltyModel, flags_possible
from tiktok_virality.evaluation.unlike_clips import IDS
from tiktok_virality.pipelines.modeling.certainty import JUDGED
from tiktok_virality.schema import SPLITS
from tiktok_virality.training.corpus import LabelledClips, ModelInput, pooled

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


def gather_evidence(
    model_input: ModelInput,
    novelty_model: dict[str, np.ndarray],
    novelty: pd.DataFrame,
    point_predictions: pd.DataFrame,
    certainty: CertaintyParameters,
    seed: int,
    **altered: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Show whether the flag works: how often it is wrong, what it finds, and what it is good for.

    Args:
        model_input: The clips.
        novelty_model: What is usual.
        novelty: What was flagged.
        point_predictions: Of the ensemble, among others.
        certainty: How often the flag may be wrong.
        seed: The main seed.
        **altered: By modality, the pooled tokens of altered test clips, one array per alteration,
            and their ``video_id``.

    Returns:
        ``alpha``, ``calibration_clips``, ``can_flag``; ``false_alarms`` among test clips as they
        are; ``unlike``: for each alteration of each modality the share ``detected``, with a 95 %
        interval by creator, and the ``auroc`` against test clips as they are; ``untried``: the
        modalities of which no altered clips were tried; ``error``: the mean absolute error of the
        ensemble on flagged and on other test clips, and the rank correlation of distance and
        absolute error.
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
        "unlike": list(_detections(model, model_input, table, altered, certainty.novelty_alpha)),
        "untried": [name for name in model_input.modalities if name not in altered],
        "error": _errors(table, point_predictions, seed),
    }


def _detections(
    model: NoveltyModel,
    model_input: ModelInput,
    usual: pd.DataFrame,
    altered: Mapping[str, Mapping[str, np.ndarray]],
    alpha: float,
) -> Iterator[dict[str, Any]]:
    """Yield what was found of each alteration of each modality."""
    test = model_input.splits["test"]
    place = {video_id: index for index, video_id in enumerate(test.ids)}
    unaltered = _embeddings(test, model_input)
    for modality, clips in altered.items():
        known = np.isin(clips[IDS], list(place))
        places = [place[video_id] for video_id in clips[IDS][known]]
        for name in (name for name in clips if name != IDS):
            embeddings = {key: values[places] for key, values in unaltered.items()}
            distances = model.distances(embeddings | {modality: clips[name][known]})
            flagged = pd.Series(model.p_values(distances) <= alpha)
            yield {
                "modality": modality,
                "alteration": name,
                **_share(flagged, pd.Series(test.groups[places].astype(str))),
                "auroc": novelties.separation(usual["distance"].to_numpy(), distances),
            }


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
    return dict(features.modalities)
