"""The published system: its parameters, and its training for every fold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pandas as pd

from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.schema import Config, Split, digest
from tiktok_virality.training.corpus import ModelInput, StoredTokens, assemble_all
from tiktok_virality.training.cross_fitting import DivisionTrainer
from tiktok_virality.training.parameters import TrainingParameters

if TYPE_CHECKING:
    from tiktok_virality.training.lineup import Setting


class PublishedFaults(Config):
    """What is wrong in the authors' code, as options of the published models alone.

    Attributes:
        scaler_sees_held_out: The truth of the test split, and not of the training split, gives the
            mean and deviation by which the target is standardised; that of the validation split
            where there is no test split.
        swapped_states: The published models read another autoencoder, whose cells exchange hidden
            state and memory; it is trained as ours is.
        channels_as_tokens: The tokens of the picture are the channels of the last state, not the
            frames: attention is between channels, and the course of the clip is left to the state.
    """

    scaler_sees_held_out: bool = False
    swapped_states: bool = False
    channels_as_tokens: bool = False


class PublishedParameters(Config):
    """The parameters of the published models; the defaults are the published ones.

    Attributes:
        take_part: Whether they are trained and compared.
        transformer: Shape of both Transformers; ``width`` is the number of their features.
        training: How each model is trained.
        faults: Of the authors' code.
    """

    take_part: bool = False
    transformer: TransformerConfig = TransformerConfig(
        width=256, layers=6, heads=8, feedforward=256, dropout=0.1, readout=False
    )
    training: TrainingParameters = TrainingParameters(epochs=3, batch_size=8, learning_rate=0.001)
    faults: PublishedFaults = PublishedFaults()


def assemble_published(
    manifest: pd.DataFrame,
    splits: pd.DataFrame,
    tables: Mapping[str, StoredTokens],
    target: TargetParameters,
    faults: PublishedFaults,
) -> tuple[ModelInput, list[ModelInput]]:
    """Read the tokens of the published models as `assemble_all` reads those of modalities.

    Raises:
        DataError: As `assemble`.
    """
    main, divisions = assemble_all(manifest, splits, tables, target)
    if not faults.scaler_sees_held_out:
        return main, divisions
    return _scaled_by_held_out(main), [_scaled_by_held_out(each) for each in divisions]


def _scaled_by_held_out(model_input: ModelInput) -> ModelInput:
    split: Split = "test" if "test" in model_input.splits else "validation"
    fingerprint = digest([model_input.fingerprint, "scaled by", split])
    return replace(model_input, scaled_by=split, fingerprint=fingerprint)


@dataclass
class PublishedTrainer(DivisionTrainer):
    """Trains the published models on a division of the corpus.

    Attributes:
        faults: Of the authors' code.
    """

    faults: PublishedFaults = field(default_factory=PublishedFaults)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result, besides the clips of a division."""
        return {**super().identity(), "faults": self.faults.model_dump(mode="json")}

    def assembled(self) -> list[ModelInput]:
        """Read the tokens of the published models."""
        _, divisions = assemble_published(
            self.manifest, self.splits, self.tables, self.target, self.faults
        )
        return divisions

    def predictions(
        self, division: ModelInput, setting: Setting, *, with_baselines: bool
    ) -> pd.DataFrame:
        """Train the published models, and let them predict."""
        from tiktok_virality.training.lineup import train_published_again

        return train_published_again(division, self.recipe, setting)
