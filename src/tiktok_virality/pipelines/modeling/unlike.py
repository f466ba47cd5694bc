"""The flag for clips unlike those of the training split, and the evidence that it works."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
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
from tiktok_virality.training.folds import choose

logger = logging.getLogger(__name__)


def fit_novelty(model_input: ModelInput, certainty: CertaintyParameters) -> dict[str, np.ndarray]:
    """Learn what clips are usual to the models that are served.

    Training clips are; how far others usually lie from them, the calibration split says, or the
    validation split where there is none. Neither truth nor predictions count.

    Returns:
        A `NoveltyModel` as arrays.
    """
    model = _fit(model_input, certainty)
    if not flags_possible(len(model.calibration), certainty.novelty_alpha):
        logger.warning(
            "No clip can be flagged as unlike the training clips: at %.0f %% false alarms that "
            "needs %d calibration clips, and there are %d.",
            100 * certainty.novelty_alpha,
            round(1 / certainty.novelty_alpha) - 1,
            len(model.calibration),
        )
    return model.to_arrays()


def flag_unlike_clips(divisions: list[ModelInput], certainty: CertaintyParameters) -> pd.DataFrame:
    """Say of every clip how unlike the training clips of those models it is that it taught nothing.

    Returns:
        ``video_id``, ``split``, ``distance`` (about 1 is usual; missing where a clip has no
        tokens), ``p_value`` and ``flagged``: of test clips, and where one split is held out also of
        validation and calibration clips.
    """
    tables = []
    for division in divisions:
        model = _fit(division, certainty)
        for split in ("test",) if len(divisions) > 1 else SPLITS[1:]:
            clips = division.splits[split]
            distances = model.distances(_embeddings(clips, division))
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
    divisions: list[ModelInput],
    novelty: pd.DataFrame,
    point_predictions: pd.DataFrame,
    certainty: CertaintyParameters,
    seed: int,
    **altered: dict[str, np.ndarray],
) -> dict[str, Any]:
    """Show whether the flag works: how often it is wrong, what it finds, and what it is good for.

    Args:
        divisions: The clips, each tested in one of them.
        novelty: What was flagged.
        point_predictions: Of the ensemble, among others.
        certainty: How often the flag may be wrong.
        seed: The main seed.
        **altered: By modality, the pooled tokens of altered test clips, one array per alteration,
            and their ``video_id``.

    Returns:
        ``alpha``, ``calibration_clips`` (of the division with fewest), ``can_flag``;
        ``false_alarms`` among test clips as they are; ``unlike``: for each alteration of each
        modality the share ``detected``, with a 95 % interval by creator, and the ``auroc`` against
        test clips as they are; ``untried``: the modalities of which no altered clips were tried;
        ``error``: the mean absolute error of the ensemble on flagged and on other test clips, and
        the rank correlation of distance and absolute error.
    """
    models = [_fit(division, certainty) for division in divisions]
    tested = [division.splits["test"] for division in divisions]
    fewest = min(len(model.calibration) for model in models)
    ids = [video_id for clips in tested for video_id in clips.ids]
    table = novelty.set_index(IDS).loc[ids].dropna(subset="distance")
    creators = pd.Series(np.concatenate([c.groups.astype(str) for c in tested]), index=ids)
    detections = _detections(models, divisions, table, altered, certainty.novelty_alpha)
    return {
        "alpha": certainty.novelty_alpha,
        "calibration_clips": fewest,
        "can_flag": flags_possible(fewest, certainty.novelty_alpha),
        "false_alarms": _share(table["flagged"], creators.loc[table.index]),
        "unlike": list(detections),
        "untried": [name for name in divisions[0].modalities if name not in altered],
        "error": _errors(table, point_predictions, seed),
    }


def _fit(clips: ModelInput, certainty: CertaintyParameters) -> NoveltyModel:
    return novelties.fit_novelty(
        _embeddings(clips.splits["train"], clips),
        _embeddings(clips.usual_clips, clips),
        certainty.neighbours,
        clips.splits["train"].ids,
    )


def _detections(
    models: Sequence[NoveltyModel],
    divisions: Sequence[ModelInput],
    usual: pd.DataFrame,
    altered: Mapping[str, Mapping[str, np.ndarray]],
    alpha: float,
) -> Iterator[dict[str, Any]]:
    """Yield what was found of each alteration of each modality."""
    for modality, clips in altered.items():
        for name in (name for name in clips if name != IDS):
            found = [
                _altered_distances(model, division, clips, modality, name)
                for model, division in zip(models, divisions, strict=True)
            ]
            flagged = [
                model.p_values(distances) <= alpha
                for model, (distances, _) in zip(models, found, strict=True)
            ]
            creators = np.concatenate([groups for _, groups in found])
            distances = np.concatenate([each for each, _ in found])
            yield {
                "modality": modality,
                "alteration": name,
                **_share(pd.Series(np.concatenate(flagged)), pd.Series(creators)),
                "auroc": novelties.separation(usual["distance"].to_numpy(), distances),
            }


def _altered_distances(
    model: NoveltyModel,
    division: ModelInput,
    altered: Mapping[str, np.ndarray],
    modality: str,
    alteration: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and creators of the test clips of a division that were altered, [A] each."""
    test = division.splits["test"]
    place = {video_id: index for index, video_id in enumerate(test.ids)}
    known = np.isin(altered[IDS], list(place))
    places = [place[video_id] for video_id in altered[IDS][known]]
    chosen = choose(test, np.asarray(places, dtype=np.int64))
    embeddings = _embeddings(chosen, division) | {modality: altered[alteration][known]}
    return model.distances(embeddings), chosen.groups.astype(str)


def _errors(table: pd.DataFrame, point_predictions: pd.DataFrame, seed: int) -> dict[str, Any]:
    from scipy.stats import spearmanr

    ours = (
        (point_predictions["model"] == JUDGED)
        & (point_predictions["seed"] == seed)
        & (point_predictions["split"] == "test")
    )
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
