"""The image stage: every still of a clip becomes one token, by a frozen pretrained network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.media.stills import decode_still
from tiktok_virality.models.image_configs import ImageParameters
from tiktok_virality.models.weights import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from tiktok_virality.models.device_memory import FittingBatches
    from tiktok_virality.models.image_networks import ImageNetwork


@dataclass
class ImageEmbedder:
    """Looks at stills: ``tokens`` float16 [T, D], ``timestamps_seconds`` float32 [T], ``parts``.

    The stills of a clip have one shape, and go through the network together and with no other
    clip's, so a result depends on no batch. What a token holds is said in `image_statistics`.

    Attributes:
        parameters: Which network, and what is taken from it.
        checkpoint: Its weights.
        device: ``auto``, ``cpu`` or ``cuda``.
    """

    parameters: ImageParameters
    checkpoint: Checkpoint
    device: str = "auto"
    _network: ImageNetwork | None = field(default=None, init=False, repr=False)
    _place: str = field(default="cpu", init=False, repr=False)
    _batches: FittingBatches | None = field(default=None, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result; where the weights lie and the batch size do not."""
        return {
            "version": 2,
            "image": self.parameters.model_dump(mode="json", exclude={"weights", "batch_size"}),
            "checkpoint": self.checkpoint.digest,
        }

    def setup(self) -> None:
        """Put the network on its device."""
        import torch

        from tiktok_virality.models.device_memory import FittingBatches
        from tiktok_virality.models.image_networks import load_image_network
        from tiktok_virality.models.precision import has_gpu

        self._place = "cuda" if has_gpu(self.device) else "cpu"
        self._network = load_image_network(self.parameters, self.checkpoint)
        self._network.module.to(self._place, memory_format=torch.channels_last)
        self._batches = FittingBatches("image network, stills")

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Embed a batch; a clip whose stills cannot be read fails alone."""
        return [outcome_of(item, self._embed) for item in items]

    def _embed(self, item: StageItem) -> dict[str, Any]:
        assert self._batches is not None
        row = item.payload.load()
        described = list(self._batches.map(self._describe, row["stills"]))  # parts, by batch
        parts = [np.concatenate(part) for part in zip(*described, strict=True)]
        return {
            "tokens": np.concatenate(parts, 1).astype(np.float16),
            "timestamps_seconds": row["still_seconds"],
            "parts": np.array([part.shape[1] for part in parts], np.int32),
        }

    def _describe(self, stills: Sequence[bytes]) -> list[np.ndarray]:
        """Return the parts of what describes each still, float32 [T, D] each."""
        import torch

        from tiktok_virality.models.image_statistics import describe

        assert self._network is not None
        grid = (self.parameters.grid_height, self.parameters.grid_width)
        with torch.inference_mode():
            pictures = self._pictures(stills)
            described = describe(pictures, self._network.features(pictures), grid)
            return [part.float().cpu().numpy() for part in described]

    def _pictures(self, stills: Sequence[bytes]) -> Tensor:
        """Return stills as the network sees them, RGB in [0, 1], [T, 3, H, W]."""
        import torch
        from torch.nn.functional import interpolate

        assert self._network is not None
        shown = torch.from_numpy(np.stack([decode_still(still) for still in stills]))
        size = self._network.input.size(*shown.shape[2:])
        scaled = interpolate(
            shown.to(self._place).float() / 255, size, mode="bicubic", antialias=True
        )
        return scaled.clamp(0, 1).contiguous(memory_format=torch.channels_last)
