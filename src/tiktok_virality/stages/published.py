"""The stages of the published models: the last ConvLSTM state, and the averaged Whisper states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tiktok_virality.execution import Done, Outcome, StageItem, outcome_of
from tiktok_virality.models.configs import Precision
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.stages.waveforms import load_samples

if TYPE_CHECKING:
    from torch import Tensor
    from whisper.model import Whisper

    from tiktok_virality.models.convlstm import ConvLSTMAutoencoder
    from tiktok_virality.models.trained import TrainedModel

BLOCK: Final = 8
"""A moment is averaged over blocks of so many pixels: 64 channels of it are as wide as a frame."""


@dataclass
class StateReader:
    """Reads the encoder's states: column ``tokens`` float16 [N, D].

    Attributes:
        model: The trained autoencoder.
        channels_as_tokens: Whether the tokens are the channels of the last state, or moments.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    model: TrainedModel
    channels_as_tokens: bool
    device: str = "auto"
    _module: ConvLSTMAutoencoder | None = field(default=None, init=False, repr=False)
    _place: str = field(default="cpu", init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result."""
        return {
            "version": 1,
            "autoencoder": self.model.digest,
            "channels_as_tokens": self.channels_as_tokens,
        }

    def setup(self) -> None:
        """Put the model on its device."""
        from tiktok_virality.models.convlstm import ConvLSTMAutoencoder
        from tiktok_virality.models.precision import has_gpu

        self._place = "cuda" if has_gpu(self.device) else "cpu"
        module = self.model.build().to(self._place)
        assert isinstance(module, ConvLSTMAutoencoder)
        self._module = module

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Read a batch of clips, one after the other."""
        return [outcome_of(item, self._read) for item in items]

    def _read(self, item: StageItem) -> dict[str, Any]:
        import torch

        assert self._module is not None
        frames = torch.tensor(item.payload.load()["pixels"])[None] / 255  # [1, T, 3, H, W]
        with torch.inference_mode():
            states = self._module.encode(frames.to(self._place))[0]  # [T, hidden, H, W]
            tokens = last_state(states) if self.channels_as_tokens else moments(states)
        return {"tokens": tokens.cpu().numpy().astype(np.float16)}


def last_state(states: Tensor) -> Tensor:
    """Return the channels of the last state, [T, hidden, H, W] to [hidden, H * W]."""
    return states[-1].flatten(1)


def moments(states: Tensor) -> Tensor:
    """Return a token per frame, which holds all channels, averaged over blocks of pixels.

    With 64 channels a token has as many numbers as a frame has pixels, where blocks divide it: what
    reads moments is as large as what reads channels. A clip has one token for each channel, too:
    more frames are thinned out evenly, fewer are followed by zeros, as the published frames are.

    Args:
        states: [T, hidden, H, W].

    Returns:
        [hidden, hidden * (H // 8) * (W // 8)].
    """
    import torch
    from torch.nn.functional import adaptive_avg_pool2d, pad

    steps, hidden, height, width = states.shape
    chosen = torch.linspace(0, steps - 1, min(steps, hidden)).round().long()
    grid = (max(1, height // BLOCK), max(1, width // BLOCK))
    tokens = adaptive_avg_pool2d(states[chosen.to(states.device)], grid).flatten(1)
    return pad(tokens, (0, 0, 0, hidden - len(tokens)))


@dataclass
class BlockStateReader:
    """Averages Whisper's states over each clip: column ``tokens`` float16 [blocks + 1, D].

    Attributes:
        checkpoint: Whisper's weights.
        precision: As in `WhisperParameters`.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    checkpoint: Checkpoint
    precision: Precision = "mixed"
    device: str = "auto"
    _model: Whisper | None = field(default=None, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result; where the weights lie does not."""
        return {"version": 1, "checkpoint": self.checkpoint.digest, "precision": self.precision}

    def setup(self) -> None:
        """Load Whisper."""
        from tiktok_virality.models.whisper_encoding import load_whisper

        self._model = load_whisper(self.checkpoint, self.device, self.precision)

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Read a batch of clips, one after the other."""
        return [outcome_of(item, self._read) for item in items]

    def _read(self, item: StageItem) -> Outcome:
        from tiktok_virality.models.whisper_encoding import clip_block_states

        assert self._model is not None
        states = clip_block_states(self._model, load_samples(item))
        return Done(video_id=item.video_id, columns={"tokens": states.numpy().astype(np.float16)})
