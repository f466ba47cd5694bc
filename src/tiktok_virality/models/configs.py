"""Shapes of the models, as frozen configurations. Reading them loads no torch."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from tiktok_virality.schema import Config

Precision = Literal["auto", "full", "mixed"]
"""How a model multiplies: in float32, or in half as many bits where the hardware has them."""


class ConvLSTMConfig(Config):
    """Shape of the ConvLSTM autoencoder.

    Attributes:
        channels: Of a frame.
        hidden: Channels of every cell's state.
        kernel_size: Of every convolution, odd.
        decode_from: ``each_state``: the decoder reads the encoder's state of each step, so that
            every state is trained to hold its own frame. ``last_state``: it reads the clip's last
            state at every step, as the published model does.
        swapped_states: Every cell takes its memory for the hidden state and the other way round, a
            fault of the published code; see `PublishedFaults`.
    """

    channels: int = Field(default=3, ge=1)
    hidden: int = Field(default=64, ge=1)
    kernel_size: int = Field(default=3, ge=1)
    decode_from: Literal["each_state", "last_state"] = "each_state"
    swapped_states: bool = False

    @model_validator(mode="after")
    def _check_kernel(self) -> Self:
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={self.kernel_size} must be odd")
        return self


class BoostingConfig(Config):
    """Gradient boosting on pooled tokens; as it stands here it is the baseline.

    Attributes:
        components: Principal components of each modality that the trees read, at most; ``None``
            gives them the pooled tokens themselves.
        learning_rate: Weight of each tree.
        max_iter: Number of trees; ``None`` chooses it by folds of the training creators.
        max_leaf_nodes: Leaves of a tree, at most.
        min_samples_leaf: Clips in a leaf, at least; a tenth of the clips where they are few.
        l2_regularization: Penalty on the values of leaves.
    """

    components: int | None = Field(default=30, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    max_iter: int | None = Field(default=None, ge=1)
    max_leaf_nodes: int = Field(default=8, ge=2)
    min_samples_leaf: int = Field(default=10, ge=1)
    l2_regularization: float = Field(default=0.0, ge=0)


class TransformerConfig(Config):
    """Shape of a modality Transformer.

    Attributes:
        width: Of every token inside the model.
        layers: Self-attention layers.
        heads: Of each layer; divides ``width``.
        feedforward: Width of each layer's inner product.
        dropout: Share of activations dropped in training.
        readout: Whether a second-order readout of the pooled tokens takes part in the decision.
    """

    width: int = Field(default=256, ge=8)
    layers: int = Field(default=6, ge=1)
    heads: int = Field(default=8, ge=1)
    feedforward: int = Field(default=1024, ge=8)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    readout: bool = True

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"heads={self.heads} must divide width={self.width}")
        return self
