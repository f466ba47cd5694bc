"""Lightning modules: one step of the autoencoder, one step of a predictor of views."""

from __future__ import annotations

import math
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional

from tiktok_virality.models.convlstm import reconstruction_loss
from tiktok_virality.training.data import Part
from tiktok_virality.training.parameters import TrainingParameters

WARM_UP_SHARE = 0.1


class Trainee(lightning.LightningModule):
    """A model, its loss, and AdamW with warm-up and a cosine.

    Losses of an epoch are means over all its items, weighted by batch size: a short last batch
    counts for what it holds, and so does each process's part of a batch.
    """

    def __init__(self, model: nn.Module, parameters: TrainingParameters, steps: int) -> None:
        super().__init__()
        self.model = model
        self.parameters_of_training = parameters
        self.steps = steps

    def loss(self, batch: Any) -> tuple[Tensor, int]:
        """Return the mean loss of a batch and the number of items that it is a mean of."""
        raise NotImplementedError

    def training_step(self, part: Part, index: int) -> Tensor:
        """Return the loss of a part, weighted so that the mean over processes is the batch's.

        Processes average their gradients. A part weighs what it holds of the batch, over an equal
        share of it: 1 for all of it in one process.
        """
        loss, held = self._logged("train_loss", part)
        processes = self.trainer.world_size
        if processes == 1:
            return loss
        everywhere = torch.tensor(held, device=loss.device)
        torch.distributed.all_reduce(everywhere)
        return loss * (held * processes / everywhere)

    def validation_step(self, part: Part, index: int) -> None:
        """Log the loss of a part."""
        self._logged("validation_loss", part)

    def _logged(self, name: str, part: Part) -> tuple[Tensor, float]:
        """Log the loss of a part, and return it with the number of items that it stands for.

        The number is a float: Lightning sums those of all processes, and halves of whole numbers
        it would round.
        """
        loss, items = self.loss(part.batch)
        held = float(items) if part.counts else 0.0
        self.log(
            name,
            loss,
            on_step=False,
            on_epoch=True,
            batch_size=held,  # type: ignore[arg-type]
            sync_dist=True,
        )
        return loss, held

    def configure_optimizers(self) -> Any:
        """Return AdamW and its schedule, by step."""
        wanted = self.parameters_of_training
        optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=wanted.learning_rate, weight_decay=wanted.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self._rate)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]

    def _rate(self, step: int) -> float:
        warm_up = max(1, round(WARM_UP_SHARE * self.steps))
        if step < warm_up:
            return (step + 1) / warm_up
        share = min(1.0, (step - warm_up) / max(1, self.steps - warm_up))
        return 0.5 * (1 + math.cos(math.pi * share))


class AutoencoderTrainee(Trainee):
    """Draws frames again; the loss is the mean squared error over real frames."""

    def loss(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, int]:
        """Return the loss over a batch of uint8 frames [B, T, 3, H, W] and lengths [B]."""
        pixels, lengths = batch
        frames = pixels.float() / 255  # [B, T, 3, H, W]
        return reconstruction_loss(self.model(frames, lengths), frames, lengths), int(lengths.sum())


class ViewsTrainee(Trainee):
    """Predicts standardised log views; the loss is the mean squared error."""

    def loss(self, batch: tuple[Any, Tensor]) -> tuple[Tensor, int]:
        """Return the loss over a batch of tokens and targets [B]."""
        tokens, target = batch
        return functional.mse_loss(self.model(tokens), target), len(target)

    def transfer_batch_to_device(self, part: Part, device: torch.device, index: int) -> Part:
        """Move tokens and targets."""
        tokens, target = part.batch
        return Part((tokens.to(device), target.to(device)), part.counts)
