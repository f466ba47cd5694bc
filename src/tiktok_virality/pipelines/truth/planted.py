"""Models that are shown what a world was planted with: the ceiling of all others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import pandas as pd

from tiktok_virality.demo.planting import perfect_predictions
from tiktok_virality.demo.scripts import THEMES
from tiktok_virality.demo.senses import BOTH, PICTURE, SOUND
from tiktok_virality.evaluation.cross_fitting import divisions_of
from tiktok_virality.models.roles import regime_of
from tiktok_virality.schema import DataError

CEILINGS: Final[Mapping[str, str]] = {
    PICTURE: "planted_picture",
    SOUND: "planted_sound",
    BOTH: "planted_both",
}
"""The model of each sense that predicts all that can be known by it."""

BOOSTING: Final = "planted_boosting"
"""Gradient boosting that learned from the true factors, as others learn from embeddings."""


def world_of(planted_clips: pd.DataFrame) -> str:
    """Return the name of the world that clips were planted in."""
    return str(planted_clips["world"].iloc[0])


def planted_rows(
    predictions: pd.DataFrame,
    planted_clips: pd.DataFrame,
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """Return the predictions of the models that are shown what was planted.

    Args:
        predictions: Of any models; they say which clips there are, and the truth.
        planted_clips: The clips as they are in the world.
        manifest: Says who posted each.
        splits: In which split each is, or in which fold where every clip is tested.
        seed: That the rows are given: the main one, for no chance is in them.

    Raises:
        DataError: A predicted clip was not planted.
    """
    clips = predictions.drop_duplicates("video_id")[["video_id", "y_true"]]
    known = planted_clips.set_index("video_id")
    strangers = clips.loc[~clips["video_id"].isin(known.index), "video_id"]
    if len(strangers):
        raise DataError(
            f"{len(strangers)} predicted clips were not planted, such as {strangers.iloc[0]!r}. "
            "Run the benchmark again: `kedro run --env truth`."
        )
    here = known.loc[clips["video_id"]]
    log_views = perfect_predictions(here)
    creators = manifest.set_index("video_id")["creator_id"].loc[clips["video_id"]]
    by_creator = creators.to_numpy(dtype=str)
    tables = [
        table
        for division in divisions_of(splits)
        for table in _of_division(clips, division, log_views, factors(here), by_creator, seed)
    ]
    return pd.concat(tables, ignore_index=True).drop_duplicates(
        ["video_id", "split", "model"], ignore_index=True
    )


def _of_division(
    clips: pd.DataFrame,
    division: pd.DataFrame,
    log_views: pd.DataFrame,
    known: np.ndarray,
    creators: np.ndarray,
    seed: int,
) -> Iterator[pd.DataFrame]:
    """Yield what each model predicts of the clips of a division."""
    split_of = dict(zip(division["video_id"], division["split"], strict=True))
    here = clips.assign(split=clips["video_id"].map(split_of))
    for modality, name in CEILINGS.items():
        yield _rows(here, name, modality, _log1p_views(log_views[modality]), seed)
    yield _rows(here, BOOSTING, BOTH, _boosted(here, known, creators), seed)


def factors(planted_clips: pd.DataFrame) -> np.ndarray:
    """Return what was planted in clips as a model may read it, [N, 4 + number of themes].

    Speed of motion, rate of cuts, whether anybody speaks, how fast (NaN where nobody does), and a
    column per theme that is 1 where it is spoken of.
    """
    speaks = (planted_clips["sound"] == "speech").to_numpy()
    rates = planted_clips["words_per_minute"].to_numpy(dtype=np.float64)
    columns = [
        planted_clips["motion_speed"].to_numpy(dtype=np.float64),
        planted_clips["cuts_per_second"].to_numpy(dtype=np.float64),
        speaks.astype(np.float64),
        np.where(speaks, rates, np.nan),
        *((planted_clips["theme"] == theme).to_numpy(dtype=np.float64) for theme in THEMES),
    ]
    return np.stack(columns, axis=1)


def _log1p_views(log_views: pd.Series) -> np.ndarray:
    return np.logaddexp(0.0, log_views.to_numpy(dtype=np.float64))


def _boosted(clips: pd.DataFrame, known: np.ndarray, creators: np.ndarray) -> np.ndarray:
    """Fit gradient boosting on the training clips and let it predict all, [N]."""
    from threadpoolctl import threadpool_limits

    from tiktok_virality.models.baseline_estimators import fit_boosting

    train = (clips["split"] == "train").to_numpy()
    truth = clips["y_true"].to_numpy(dtype=np.float64)
    # As with the baselines: models this small lose by a second thread.
    with threadpool_limits(1):
        fitted = fit_boosting(known[train], truth[train], creators[train], {})
        return np.asarray(fitted.predict(known), dtype=np.float64)


def _rows(
    clips: pd.DataFrame, model: str, modality: str, y_pred: np.ndarray, seed: int
) -> pd.DataFrame:
    return clips.assign(
        model=model,
        modality=modality,
        regime=regime_of(model),
        seed=seed,
        y_pred=y_pred,
        lower=np.nan,
        upper=np.nan,
    )
