"""The ConvLSTM autoencoder: frames in, a state per frame, the frames drawn again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tiktok_virality.models.configs import ConvLSTMConfig


class ConvLSTMCell(nn.Module):
    """One layer over time: an LSTM whose products are convolutions (Shi et al., 2015).

    One convolution gives all four gates. It is split into the part over the input and the part over
    the hidden state, whose sum is the same: the first step, whose state is zero, needs no second
    part, and on a GPU the first part is one convolution over all steps.

    Args:
        channels: Of the input.
        hidden: Channels of state and memory.
        kernel_size: Odd.
        swapped: Take the memory for the hidden state after every step, and the other way round.
    """

    def __init__(
        self, channels: int, hidden: int, kernel_size: int, *, swapped: bool = False
    ) -> None:
        super().__init__()
        self.channels = channels
        self.hidden = hidden
        self.swapped = swapped
        self.padding = kernel_size // 2
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, kernel_size, padding=self.padding)

    def forward(self, x: Tensor, steps: int | None = None) -> Tensor:
        """Return the hidden state at every step.

        Args:
            x: [B, T, C, H, W].
            steps: For how many steps to go on reading the same input, where T is 1.

        Returns:
            [B, T, hidden, H, W], or [B, steps, hidden, H, W].
        """
        over_input = self.gates.weight[:, : self.channels].contiguous()
        over_hidden = self.gates.weight[:, self.channels :].contiguous()
        inputs = self._over_input(x, over_input)
        if steps is not None:
            inputs = itertools.repeat(next(inputs), steps)
        memory = state = None
        states = []
        for gates in inputs:  # [B, 4 * hidden, H, W]
            if state is not None:
                gates = gates + functional.conv2d(state, over_hidden, padding=self.padding)
            enter, keep, show, new = gates.chunk(4, dim=1)
            added = (enter.sigmoid() * new.tanh()).float()  # the memory is summed in full precision
            memory = added if memory is None else keep.sigmoid() * memory + added
            state = show.sigmoid() * memory.tanh().to(show.dtype)
            if self.swapped:
                state, memory = memory.to(state.dtype), state.float()
            states.append(state)
        return torch.stack(states, dim=1)

    def _over_input(self, x: Tensor, weight: Tensor) -> Iterator[Tensor]:
        """Yield what the input adds to the gates, step by step.

        A CPU convolves each step when it is needed, while it is in the cache; all steps at once
        took it a tenth longer and the memory of all gates.
        """
        for part in torch.split(x, x.shape[1] if x.is_cuda else 1, dim=1):
            flat = part.flatten(0, 1)
            if x.is_cuda:  # where tensor cores want it
                flat = flat.contiguous(memory_format=torch.channels_last)
            gates = functional.conv2d(flat, weight, self.gates.bias, padding=self.padding)
            yield from gates.view(*part.shape[:2], *gates.shape[1:]).unbind(1)


def plain_recurrence(cell: ConvLSTMCell, x: Tensor) -> Tensor:
    """Return what a cell gives, [B, T, hidden, H, W], the way it is written in the paper.

    One convolution over input and state together, step by step: what tests hold `ConvLSTMCell`
    against, and benchmarks time it against.
    """
    memory = state = x.new_zeros(x.shape[0], cell.hidden, *x.shape[3:])
    states = []
    for step in x.unbind(1):
        enter, keep, show, new = cell.gates(torch.cat([step, state], dim=1)).chunk(4, dim=1)
        memory = keep.sigmoid() * memory + enter.sigmoid() * new.tanh()
        state = show.sigmoid() * memory.tanh()
        if cell.swapped:
            state, memory = memory, state
        states.append(state)
    return torch.stack(states, dim=1)


class ConvLSTMAutoencoder(nn.Module):
    """Two encoder and two decoder cells, then a convolution and a sigmoid.

    Every step sees earlier steps only, so frames that pad a clip at its end change nothing before.
    """

    def __init__(self, config: ConvLSTMConfig) -> None:
        super().__init__()
        hidden, kernel = config.hidden, config.kernel_size
        cells = [
            ConvLSTMCell(channels, hidden, kernel, swapped=config.swapped_states)
            for channels in (config.channels, hidden, hidden, hidden)
        ]
        self.config = config
        self.encoder = nn.Sequential(*cells[:2])
        self.decoder = nn.Sequential(*cells[2:])
        self.output = nn.Conv2d(hidden, config.channels, kernel, padding=kernel // 2)
        self.checkpointing = False
        """Whether training computes a cell's gates anew in the backward pass, to save memory."""

    def encode(self, frames: Tensor) -> Tensor:
        """Return the encoder's state at every frame.

        Args:
            frames: [B, T, C, H, W] in [0, 1].

        Returns:
            [B, T, hidden, H, W] in (-1, 1).
        """
        return self._through(self.encoder, frames)

    def forward(self, frames: Tensor, lengths: Tensor) -> Tensor:
        """Draw the frames again.

        Args:
            frames: [B, T, C, H, W] in [0, 1], padded at the end.
            lengths: Frames of each clip before padding, [B].

        Returns:
            [B, T, C, H, W] in (0, 1); what lies behind a clip's length means nothing.
        """
        states = self.encode(frames)  # [B, T, hidden, H, W]
        if self.config.decode_from == "last_state":
            clips = torch.arange(len(states), device=states.device)
            last = states[clips, lengths - 1][:, None]  # [B, 1, hidden, H, W]
            decoded = self._through(self.decoder, last, steps=frames.shape[1])
        else:
            decoded = self._through(self.decoder, states)  # [B, T, hidden, H, W]
        drawn = self.output(decoded.flatten(0, 1)).sigmoid()  # [B * T, C, H, W]
        return drawn.view(frames.shape)

    def _through(self, cells: nn.Sequential, x: Tensor, steps: int | None = None) -> Tensor:
        """Return the states of the last cell; the first may read one input for many steps."""
        for cell in cells:
            if self.checkpointing and torch.is_grad_enabled():
                x = checkpoint(cell, x, steps, use_reentrant=False)
            else:
                x = cell(x, steps)
            steps = None
        return x


def reconstruction_loss(drawn: Tensor, frames: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean squared error over real frames, padding left out; [B, T, C, H, W] each."""
    steps = torch.arange(frames.shape[1], device=frames.device)
    real = steps < lengths[:, None]  # [B, T]
    error = (drawn - frames).square().mean(dim=(2, 3, 4))  # [B, T]
    return (error * real).sum() / real.sum()
