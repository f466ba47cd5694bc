"""How models are trained: the parameters of the visual and the modeling pipeline."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.modalities import MODALITIES
from tiktok_virality.models.baselines import baseline_names
from tiktok_virality.models.configs import ConvLSTMConfig, Precision, TransformerConfig
from tiktok_virality.schema import Config

WHOLE: Final = "whole"
"""Asks a dump, by its context, for what is no part of the name of a training, too."""


class EngineChoice(Config):
    """Which engine runs the stages; trainings in several processes go where it does.

    Attributes:
        type: ``ray`` is a cluster; all others are this machine.
        address: Of the cluster; see `RayEngine`.
        workers: Cores to use in all; ``None``: all that there are.
    """

    model_config = ConfigDict(extra="ignore")  # what it says of items concerns no training

    type: str = "local"
    address: str | None = None
    workers: Annotated[int, Field(ge=1)] | None = None


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
        precision: ``full``: float32, the same numbers on every processor. ``mixed``: products in
            bfloat16 (float16 on a GPU without it) where the hardware has it, else full. ``auto``:
            mixed on a GPU, full on a processor.
        max_steps: The budget: most steps of all epochs together. Where whole epochs would take
            more, each draws an equal share of clips, and no clip comes again before all have come.
            ``None``: whole epochs. Steps and not minutes, so that the result is the same on every
            machine, and the learning rate always comes to its end.
        processes: How many share every batch: one for each GPU with ``auto``, which is one without
            GPUs; on a cluster, of all its GPUs, or one for each machine without. 1 is the driver.
        restarts: How often a training goes on from its last checkpoint when a process has died.
        engine: Whose machines the processes run on. These three decide what the result is no more
            than the machine does, and are no part of what names a training: one may be begun in
            one process and go on in several.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    patience: int | None = Field(default=None, ge=1)
    clip_norm: float = Field(default=1.0, gt=0)
    precision: Precision = "auto"
    max_steps: int | None = Field(default=None, ge=1)
    processes: Annotated[int, Field(ge=1)] | Literal["auto"] = 1
    restarts: int = Field(default=3, ge=0)
    engine: EngineChoice = EngineChoice()

    @model_serializer(mode="wrap")
    def _name_alone(
        self, serialise: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        """Leave out what names no training, unless the context asks for the `WHOLE`."""
        values: dict[str, Any] = serialise(self)
        if not (info.context or {}).get(WHOLE):
            for name in ("processes", "restarts", "engine"):
                values.pop(name, None)
        return values

    @model_validator(mode="after")
    def _check_budget(self) -> Self:
        if self.max_steps is not None and self.max_steps < self.epochs:
            raise ValueError(
                f"max_steps={self.max_steps} gives none to some of epochs={self.epochs}: lower "
                "epochs, or raise max_steps"
            )
        return self

    @property
    def in_one_process(self) -> Self:
        """The same in one process, for one of many trainings, which are spread themselves."""
        return self.model_copy(update={"processes": 1})

    @property
    def clips_per_step(self) -> int:
        """Clips whose gradients make one step."""
        return self.batch_size

    def clips_per_epoch(self, clips: int) -> int:
        """Return how many of so many training clips an epoch draws."""
        if self.max_steps is None:
            return clips
        return min(clips, self.max_steps // self.epochs * self.clips_per_step)


class AutoencoderTraining(TrainingParameters):
    """The training of the autoencoder.

    Attributes:
        checkpointing: Compute every cell's gates anew in the backward pass: a third more work, and
            a small part of the memory.
        accumulation: Batches whose gradients are averaged into one step, for a step of more clips
            than fit into memory.
        max_validation_clips: Most clips of the validation split that tell when training stops,
            drawn once, by the seed; ``None``: all.
    """

    checkpointing: bool = False
    accumulation: int = Field(default=1, ge=1)
    max_validation_clips: int | None = Field(default=None, ge=1)

    @property
    def clips_per_step(self) -> int:
        """Clips whose gradients make one step."""
        return self.batch_size * self.accumulation


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
    training: AutoencoderTraining
    embedding: EmbeddingParameters
    reconstructions: int = Field(default=4, ge=1)


class SplitStudyParameters(Config):
    """How the study of splits is made.

    Attributes:
        models: Baselines to fit under every split, by name.
        redraws: How often to divide anew where chance has a say.
    """

    models: tuple[str, ...] = ("ridge", "creator_history")
    redraws: int = Field(default=5, ge=1)

    @field_validator("models")
    @classmethod
    def _check_models(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        known = baseline_names(tuple(MODALITIES))
        unknown = [name for name in models if name not in known]
        if unknown:
            raise ValueError(f"{unknown} are no baselines; there are {', '.join(known)}")
        return models


class ModelingParameters(Config):
    """The parameters of the modeling pipeline.

    Attributes:
        transformer: Shape of every Transformer.
        training: How each is trained.
        fine_tuning: How the late-fusion ensemble is trained on from the modality models.
        target: What is predicted.
        repeats: Under how many seeds, from the main one on, everything random is trained.
        split_study: How the scores are compared between ways of dividing the clips.
        memory_gb: Most memory for the tokens of all clips, in 1e9 bytes; a corpus that needs more
            is read from disk as batches are made. The results are the same.
    """

    transformer: TransformerConfig
    training: TrainingParameters
    fine_tuning: TrainingParameters
    target: TargetParameters = TargetParameters()
    repeats: int = Field(default=1, ge=1)
    split_study: SplitStudyParameters = SplitStudyParameters()
    memory_gb: float = Field(default=8.0, gt=0)


class EnsembleSettings(Config):
    """All that a search may change of the ensemble: a part of `ModelingParameters`.

    Attributes:
        transformer: Shape of every Transformer.
        training: How each modality is trained.
        fine_tuning: How the late fusion is trained on from the modality models.
    """

    transformer: TransformerConfig
    training: TrainingParameters
    fine_tuning: TrainingParameters


class Span(Config):
    """Between which values a search may choose.

    Attributes:
        low: The least.
        high: The greatest.
        log: Whether equal factors are equally likely, rather than equal differences.
    """

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"low={self.low:g} must not be above high={self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low={self.low:g} must be above zero where log is true")
        return self


class EnsembleSpace(Config):
    """Where a search looks for better settings of the ensemble.

    Attributes:
        width: Widths of the Transformers.
        layers: Numbers of layers.
        heads: Numbers of heads; each divides every width.
        feedforward: Widths of a layer's inner product, as multiples of the width.
        dropout: Shares of activations dropped.
        batch_size: Clips per step.
        learning_rate: Of the modality models.
        fine_tuning_rate: Of the late fusion.
        weight_decay: Of both.
    """

    width: tuple[int, ...] = Field(min_length=1)
    layers: tuple[int, ...] = Field(min_length=1)
    heads: tuple[int, ...] = Field(min_length=1)
    feedforward: tuple[int, ...] = Field(min_length=1)
    dropout: Span
    batch_size: tuple[int, ...] = Field(min_length=1)
    learning_rate: Span
    fine_tuning_rate: Span
    weight_decay: Span

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        for width in self.width:
            for heads in self.heads:
                if width % heads:
                    raise ValueError(f"heads={heads} must divide width={width}")
        return self


class BoostingSpace(Config):
    """Where a search looks for better settings of the gradient boosting.

    Attributes:
        components: Numbers of principal components of a modality; null is without.
        learning_rate: Weights of a tree.
        max_iter: Numbers of trees; null chooses by folds, as the baseline does.
        max_leaf_nodes: Most leaves of a tree.
        min_samples_leaf: Fewest clips in a leaf.
        l2_regularization: Penalties on the values of leaves.
    """

    components: tuple[int | None, ...] = Field(min_length=1)
    learning_rate: Span
    max_iter: tuple[int | None, ...] = Field(min_length=1)
    max_leaf_nodes: tuple[int, ...] = Field(min_length=1)
    min_samples_leaf: tuple[int, ...] = Field(min_length=1)
    l2_regularization: Span


class TuningParameters(Config):
    """The parameters of the tuning pipeline.

    Attributes:
        trials: Settings that each search tries, the present ones among them.
        max_minutes: Most time of each search, interruptions left out.
        trial_minutes: Most time of one trial; looked at after each of its folds.
        folds: Of whole creators of the training split.
        stopping_share: Share of a fold's training clips that tells when training stops.
        ensemble: Where to look for the ensemble.
        gradient_boosting: Where to look for the gradient boosting.
    """

    trials: int = Field(ge=2)
    max_minutes: float = Field(gt=0)
    trial_minutes: float = Field(gt=0)
    folds: int = Field(ge=2)
    stopping_share: float = Field(gt=0, lt=1)
    ensemble: EnsembleSpace
    gradient_boosting: BoostingSpace


class LotteryParameters(Config):
    """How the lottery of the truth benchmark is played.

    Attributes:
        worlds: How many are drawn.
        seed: Of the draw.
    """

    worlds: int = Field(default=20, ge=2)
    seed: int = Field(default=7, ge=0)


class StudyParameters(Config):
    """The parameters of the frame-skip study.

    Attributes:
        every_nth: Strides to compare; each is a multiple of the smallest.
        shrink: Shrink factors to compare; each is a multiple of the smallest.
        seeds: Trainings of each setting, which differ in weights and order alone.
        steps: Optimisation steps of every training, rounded up to whole epochs.
        batch_size: Clips per step.
        learning_rate: Highest rate of AdamW.
        stopping_share: Share of the training clips that tells which epoch was best.
        autoencoder: Shape of the autoencoder.
    """

    every_nth: tuple[int, ...] = Field(min_length=2)
    shrink: tuple[int, ...] = Field(min_length=1)
    seeds: int = Field(ge=1)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    stopping_share: float = Field(gt=0, lt=1)
    autoencoder: ConvLSTMConfig

    @model_validator(mode="after")
    def _check_multiples(self) -> Self:
        for name in ("every_nth", "shrink"):
            values: tuple[int, ...] = getattr(self, name)
            if len(set(values)) < len(values):
                raise ValueError(f"{name}={list(values)} names a value twice")
            if any(value < 1 or value % min(values) for value in values):
                raise ValueError(
                    f"{name}={list(values)}: each must be a multiple of the smallest, so that all "
                    "settings share their frames"
                )
        return self

    @property
    def sampling(self) -> FrameSampling:
        """The frames that hold those of every setting."""
        return FrameSampling(
            every_nth=min(self.every_nth), shrink=min(self.shrink), max_frames=None
        )
