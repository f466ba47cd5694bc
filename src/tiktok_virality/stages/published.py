"""The stages behind the published models: states of the autoencoder, and of Whisper's layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tiktok_virality.execution import Done, Outcome, StageItem, outcome_of
from tiktok_virality.models.configs import Precision
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.stages.embedding import stack_pixels
from tiktok_virality.stages.speech import load_samples

if TYPE_CHECKING:
    from torch import Tensor

    from tiktok_virality.models.convlstm import ConvLSTMAutoencoder
    from tiktok_virality.models.trained import TrainedModel
    from tiktok_virality.models.whisper_encoding import WindowEncoder


@dataclass
class StateKeeper:
    """Keeps the autoencoder's last state of a clip: column ``tokens`` float16 [hidden, H * W].

    Attributes:
        model: The trained autoencoder.
        grid: Rows and columns: keep the state at each frame instead, averaged over such a grid,
            [T, hidden * rows * columns].
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    model: TrainedModel
    grid: tuple[int, int] | None = None
    device: str = "auto"
    _module: ConvLSTMAutoencoder | None = field(default=None, init=False, repr=False)
    _place: str = field(default="cpu", init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result: the autoencoder, and what is kept."""
        grid = None if self.grid is None else list(self.grid)
        return {"version": 1, "autoencoder": self.model.digest, "grid": grid}

    def setup(self) -> None:
        """Put the model on its device."""
        from tiktok_virality.models.convlstm import ConvLSTMAutoencoder
        from tiktok_virality.models.precision import has_gpu

        self._place = "cuda" if has_gpu(self.device) else "cpu"
        module = self.model.build().to(self._place)
        assert isinstance(module, ConvLSTMAutoencoder)
        self._module = module

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Keep the states of a batch. Each step sees earlier frames only: padding does nothing."""
        import torch

        assert self._module is not None
        clips = [item.payload.load()["pixels"] for item in items]
        with torch.inference_mode():
            states = self._module.encode(stack_pixels(clips).to(self._place))  # [B, T, C, H, W]
            kept = [
                self._kept(each[: len(pixels)]).half().cpu().numpy()
                for each, pixels in zip(states, clips, strict=True)
            ]
        return [
            Done(video_id=item.video_id, columns={"tokens": tokens})
            for item, tokens in zip(items, kept, strict=True)
        ]

    def _kept(self, states: Tensor) -> Tensor:
        """Return the tokens of one clip from its states, [T, C, H, W]."""
        from torch.nn.functional import adaptive_avg_pool2d

        if self.grid is None:
            return states[-1].flatten(1)  # [C, H * W]
        return adaptive_avg_pool2d(states, self.grid).flatten(1)  # [T, C * rows * columns]


@dataclass
class LayerAverager:
    """Averages Whisper's states over a clip: column ``tokens`` float16 [L, D].

    They are what the encoder's blocks read, and what each block gives: for `base` [7, 512].

    Attributes:
        checkpoint: Whisper's weights.
        precision: As in `WhisperParameters`.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    checkpoint: Checkpoint
    precision: Precision = "full"
    device: str = "auto"
    _encoder: WindowEncoder | None = field(default=None, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {"version": 1, "checkpoint": self.checkpoint.digest, "precision": self.precision}

    def setup(self) -> None:
        """Load Whisper."""
        from tiktok_virality.models.whisper_encoding import WindowEncoder, load_whisper

        model = load_whisper(self.checkpoint, self.device, self.precision)
        self._encoder = WindowEncoder(model, batch_size=1)

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Average the states of each clip; one whose waveform cannot be loaded fails alone."""
        return [outcome_of(item, self._averaged) for item in items]

    def _averaged(self, item: StageItem) -> dict[str, Any]:
        assert self._encoder is not None
        averages = self._encoder.average_layers(load_samples(item))
        return {"tokens": averages.astype(np.float16)}
