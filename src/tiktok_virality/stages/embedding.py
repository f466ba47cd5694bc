"""The embedding stage: frames of a clip to one visual token per frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tiktok_virality.execution import Done, Outcome, StageItem

if TYPE_CHECKING:
    from torch import Tensor

    from tiktok_virality.models.convlstm import ConvLSTMAutoencoder
    from tiktok_virality.models.device_memory import FittingBatches
    from tiktok_virality.models.trained import TrainedModel


@dataclass
class ClipEmbedder:
    """Pools the autoencoder's states over a grid.

    A token is [2 * hidden * rows * columns]: the mean state of each cell of the grid, then the mean
    absolute change of the state since the frame before (zero for the first); ``parts`` are these.

    Attributes:
        model: The trained autoencoder.
        grid: Rows and columns.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    model: TrainedModel
    grid: tuple[int, int]
    device: str = "auto"
    _module: ConvLSTMAutoencoder | None = field(default=None, init=False, repr=False)
    _place: str = field(default="cpu", init=False, repr=False)
    _batches: FittingBatches | None = field(default=None, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result: the autoencoder and the grid."""
        return {"version": 5, "autoencoder": self.model.digest, "grid": list(self.grid)}

    def setup(self) -> None:
        """Put the model on its device."""
        from tiktok_virality.models.convlstm import ConvLSTMAutoencoder
        from tiktok_virality.models.device_memory import FittingBatches
        from tiktok_virality.models.precision import has_gpu

        self._place = "cuda" if has_gpu(self.device) else "cpu"
        module = self.model.build().to(self._place)
        assert isinstance(module, ConvLSTMAutoencoder)
        self._module = module
        self._batches = FittingBatches("visual embeddings, clips")

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Embed a batch. Each step sees earlier frames only, so padding changes nothing."""
        assert self._batches is not None
        return [outcome for part in self._batches.map(self._embed, items) for outcome in part]

    def _embed(self, items: Sequence[StageItem]) -> list[Outcome]:
        import torch

        assert self._module is not None
        rows = [item.payload.load() for item in items]
        lengths = [len(row["pixels"]) for row in rows]
        frames = torch.zeros(len(rows), max(lengths), *rows[0]["pixels"].shape[1:])
        for place, row in enumerate(rows):
            frames[place, : lengths[place]] = torch.tensor(row["pixels"]) / 255
        with torch.inference_mode():
            states = self._module.encode(frames.to(self._place))  # [B, T, hidden, H, W]
            tokens = pool_states(states, self.grid).cpu().numpy()  # [B, T, D]
        return [
            Done(
                video_id=item.video_id,
                columns={
                    "tokens": tokens[place, : lengths[place]].astype(np.float16),
                    "timestamps_seconds": rows[place]["timestamps_seconds"],
                    "parts": np.array([tokens.shape[2] // 2] * 2, np.int32),
                },
            )
            for place, item in enumerate(items)
        ]


def pool_states(states: Tensor, grid: tuple[int, int]) -> Tensor:
    """Average states and their absolute change over a grid.

    Args:
        states: [B, T, hidden, H, W].
        grid: Rows and columns.

    Returns:
        [B, T, 2 * hidden * rows * columns].
    """
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    change = torch.zeros_like(states)
    change[:, 1:] = (states[:, 1:] - states[:, :-1]).abs()
    both = torch.cat([states, change], dim=2)  # [B, T, 2 hidden, H, W]
    pooled = adaptive_avg_pool2d(both.flatten(0, 1), grid)  # [B * T, 2 hidden, r, c]
    return pooled.reshape(*states.shape[:2], -1)
