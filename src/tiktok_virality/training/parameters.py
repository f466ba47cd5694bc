"""How models are trained: the parameters of the visual and the modeling pipeline."""

from __future__ import annotations

from pydantic import Field

from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.models.configs import ConvLSTMConfig, TransformerConfig
from tiktok_virality.schema import Config


class TrainingParameters(Config):
    """One training.

    Attributes:
        epochs: Most epochs.
        batch_size: Clips per step.
        learning_rate: Highest rate of AdamW; it warms up for a tenth of all steps and falls along
            a cosine.
        weight_decay: Of AdamW.
        patience: Epochs without a better validation loss before training stops; ``None`` never
            stops early.
        clip_norm: Largest norm of a step's gradient.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    patience: int | None = Field(default=None, ge=1)
    clip_norm: float = Field(default=1.0, gt=0)


class EmbeddingParameters(Config):
    """How the autoencoder's states become tokens.

    Attributes:
        grid_height: Rows of the grid that a state is averaged over.
        grid_width: Its columns.
        batch_size: Clips per batch.
    """

    grid_height: int = Field(default=4, ge=1)
    grid_width: int = Field(default=2, ge=1)
    batch_size: int = Field(default=16, ge=1)


class VisualParameters(Config):
    """The parameters of the visual pipeline.

    Attributes:
        sampling: Which frames become tokens, and at what size.
        autoencoder: Shape of the autoencoder.
        training: How it is trained.
        embedding: How its states become tokens.
        reconstructions: Held-out clips that are drawn again for the report.
    """

    sampling: FrameSampling
    autoencoder: ConvLSTMConfig
    training: TrainingParameters
    embedding: EmbeddingParameters
    reconstructions: int = Field(default=4, ge=1)


class ModelingParameters(Config):
    """The parameters of the modeling pipeline.

    Attributes:
        transformer: Shape of every Transformer.
        training: How each is trained.
        fine_tuning: How the late-fusion ensemble is trained on from the two modality models.
        target: What is predicted.
        repeats: Under how many seeds, from the main one on, everything random is trained.
    """

    transformer: TransformerConfig
    training: TrainingParameters
    fine_tuning: TrainingParameters
    target: TargetParameters = TargetParameters()
    repeats: int = Field(default=3, ge=1)
