"""How often intervals hold the truth when chance divides the creators otherwise.

Split-conformal intervals promise their level on average over divisions of the clips; what one
division holds is off by several points where few creators calibrate and few are tested. So the
clips are divided anew, and the predictors trained and the intervals calibrated anew. Embeddings
stay as they are: the autoencoder never saw what is predicted.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.conformal import IntervalModel
from tiktok_virality.evaluation.splits import assign_splits
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.limits import SplitParameters, SplitStrategy
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.pipelines.modeling import certainty, unlike
from tiktok_virality.schema import DataError
from tiktok_virality.training.corpus import DIVISION, ModelInput, assemble
from tiktok_virality.training.parameters import TrainingParameters

DRAWN: Final[frozenset[SplitStrategy]] = frozenset({"group", "random"})
"""Strategies under which chance says who is tested."""

KEPT: Final = ("method", "level", "n", "creators", "coverage", "mean_width")

logger = logging.getLogger(__name__)


def measure_redivided_coverage(
    model_input: ModelInput,
    manifest: pd.DataFrame,
    target: TargetParameters,
    division: SplitParameters,
    transformer: TransformerConfig,
    training: TrainingParameters,
    fine_tuning: TrainingParameters,
    parameters: CertaintyParameters,
    seed: int,
    device: str,
    checkpoints: Path,
    **embeddings: StageTable,
) -> list[dict[str, Any]]:
    """Divide, train, calibrate and test anew, and count how often intervals hold the truth.

    The models of other divisions have learned from clips that the main one tests on. They serve
    this count alone: they are compared with nothing and never served, but their checkpoints stay.

    Returns:
        A row per division, method and level: ``seed`` of the division and of its models (those
        after the main one), ``method``, ``level``, ``n`` test clips of ``creators`` creators,
        ``coverage`` and ``mean_width``. No rows where `CertaintyParameters.redivisions` is 0, where
        time decides who is tested, or of a division that the clips do not allow.
    """
    from tiktok_virality.training import lineup

    redivisions = parameters.redivisions
    if redivisions and division.strategy not in DRAWN:
        logger.warning(
            "Time decides what a %s split tests on: certainty.redivisions is not heeded.",
            division.strategy,
        )
        return []
    recipe = lineup.Recipe(transformer=transformer, training=training, fine_tuning=fine_tuning)

    def measure(seed: int) -> list[dict[str, Any]]:
        splits = assign_splits(manifest, division, seed)
        clips = assemble(manifest, splits, embeddings, target)
        clips = dataclasses.replace(clips, label=model_input.name_of(f"{DIVISION}{seed}"))
        setting = lineup.Setting(seed=seed, device=device, checkpoints=checkpoints)
        predictions = lineup.train_and_predict_ensemble(clips, recipe, setting)
        return list(_coverage(clips, predictions, parameters, seed))

    rows: list[dict[str, Any]] = []
    for each in range(seed + 1, seed + 1 + redivisions):
        try:
            rows += measure(each)
        except DataError as error:
            logger.warning("Coverage leaves out the division with the seed %d: %s", each, error)
    return rows


def _coverage(
    clips: ModelInput, predictions: pd.DataFrame, parameters: CertaintyParameters, seed: int
) -> Iterator[dict[str, Any]]:
    novelty = unlike.flag_unlike_clips(clips, unlike.fit_novelty(clips, parameters), parameters)
    intervals = certainty.calibrate_intervals(predictions, clips, novelty, parameters, seed)
    model = IntervalModel.model_validate(intervals)
    for row in certainty.coverage_rows(predictions, model, clips, novelty):
        if row["seed"] == seed and row["group"] == certainty.OVERALL:
            yield {"seed": seed, **{name: row[name] for name in KEPT}}
