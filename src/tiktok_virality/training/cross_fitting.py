"""Trains everything again: for each fold that is tested, and under other seeds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.execution import Done, Outcome, StageItem
from tiktok_virality.schema import digest
from tiktok_virality.storage import Place
from tiktok_virality.training.corpus import ModelInput, StoredTokens, assemble_all

if TYPE_CHECKING:
    from tiktok_virality.datasets.stage_table import StageTable
    from tiktok_virality.training.lineup import Recipe, Setting

BLOCK = ("split", "model", "modality", "regime")
"""What the predictions of one model for one split have in common."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """One training of every model: the payload of a stage item.

    Attributes:
        division: Which of the divisions of the corpus, from 0 on.
        seed: Of everything random.
        with_baselines: Train the baselines in which nothing is random, too.
    """

    division: int
    seed: int
    with_baselines: bool

    @property
    def name(self) -> str:
        """What the stage calls it."""
        return f"division_{self.division + 1}_seed_{self.seed}"


@dataclass
class DivisionTrainer:
    """Trains every model on a division of the corpus, and lets it predict the division's clips.

    Columns: ``blocks``, which `BLOCK` each run of predictions is of, and ``y_pred``, all of them.
    They name no clip: their order is that of the division.

    Attributes:
        manifest: The clips, with what is true of them.
        splits: How they are divided.
        tables: Their tokens, by modality.
        target: What is predicted.
        recipe: How the Transformers are trained.
        device: ``auto``, ``cpu`` or ``cuda``.
        checkpoints: Folder of all trainings.
        label: Name of the corpus, where there are several.
        one_core: Use one, as a worker among others.
        memory_gb: Most memory for tokens; see `read_tokens`.
    """

    manifest: pd.DataFrame
    splits: pd.DataFrame
    tables: Mapping[str, StoredTokens]
    target: TargetParameters
    recipe: Recipe
    device: str
    checkpoints: Place
    label: str = ""
    one_core: bool = False
    memory_gb: float = math.inf
    _divisions: list[ModelInput] = field(default_factory=list, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result, besides the clips of a division."""
        recipe = (self.recipe.transformer, self.recipe.training, self.recipe.fine_tuning)
        return {"version": 1, "recipe": [part.model_dump(mode="json") for part in recipe]}

    def setup(self) -> None:
        """Read all tokens, or learn where they are."""
        import torch

        if self.one_core:
            torch.set_num_threads(1)
        self._divisions = self.assembled()

    def assembled(self) -> list[ModelInput]:
        """Read the tokens of every division."""
        _, divisions = assemble_all(
            self.manifest, self.splits, self.tables, self.target, self.memory_gb
        )
        return divisions

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Train, one after the other."""
        return [Done(video_id=each.video_id, columns=self._train(each.payload)) for each in items]

    def predictions(
        self, division: ModelInput, setting: Setting, *, with_baselines: bool
    ) -> pd.DataFrame:
        """Train the models of this trainer, and let them predict."""
        from tiktok_virality.training.lineup import train_all

        return train_all(division, self.recipe, setting, with_baselines=with_baselines)

    def _train(self, training: Training) -> dict[str, Any]:
        from tiktok_virality.training.lineup import Setting

        division = self._divisions[training.division]
        label = "/".join(part for part in (self.label, division.label) if part)
        setting = Setting(
            seed=training.seed, device=self.device, checkpoints=self.checkpoints, quiet=True
        )
        predictions = self.predictions(
            replace(division, label=label), setting, with_baselines=training.with_baselines
        )
        blocks = [dict(zip(BLOCK, key, strict=True)) for key, _ in _blocks(predictions)]
        return {"blocks": blocks, "y_pred": predictions["y_pred"].to_numpy(dtype=np.float64)}


def training_item(training: Training, divisions: Sequence[ModelInput]) -> StageItem:
    """Return a training as a stage item: other clips in its division make it another."""
    fingerprint = divisions[training.division].fingerprint
    return StageItem(
        video_id=training.name,
        digest=digest([fingerprint, training.seed, training.with_baselines]),
        payload=training,
    )


def read_predictions(
    trained: StageTable, trainings: Sequence[Training], divisions: Sequence[ModelInput]
) -> pd.DataFrame:
    """Return what trainings predicted, as `lineup.predict_all` does.

    A clip teaches in several divisions: the first is taken, so that no clip has two predictions of
    one model in one split.
    """
    from tiktok_virality.training.lineup import no_predictions

    tables = [
        table
        for training in trainings
        for table in _tables(trained.row(training.name), divisions[training.division], training)
    ]
    together = pd.concat([no_predictions(), *tables], ignore_index=True)
    return together.drop_duplicates(["video_id", "split", "model", "seed"], ignore_index=True)


def _tables(
    row: Mapping[str, Any], division: ModelInput, training: Training
) -> Iterator[pd.DataFrame]:
    from tiktok_virality.training.lineup import COLUMNS

    first = 0
    for block in row["blocks"]:
        clips = division.splits[block["split"]]
        last = first + len(clips)
        table = pd.DataFrame({"video_id": clips.ids, "y_true": clips.log_views})
        predicted = np.asarray(row["y_pred"])[first:last]
        yield table.assign(**block, seed=training.seed, y_pred=predicted)[list(COLUMNS)]
        first = last


def _blocks(predictions: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], Any]]:
    rows = predictions[list(BLOCK)].itertuples(index=False, name=None)
    return groupby(rows, key=itemgetter(*range(len(BLOCK))))
