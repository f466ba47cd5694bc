"""The ConvLSTM autoencoder: frames in, a state per frame, the frames drawn again."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tiktok_virality.models.configs import ConvLSTMConfig


class ConvLSTMCell(nn.Module):
    """One layer over time: an LSTM whose products are convolutions (Shi et al., 2015).

    One convolution gives all four gates. Its weights over the input are applied to all steps at
    once; only those over the hidden state go step by step. The sum is the same.
    """

    def __init__(self, channels: int, hidden: int, kernel_size: int) -> None:
        super().__init__()
        self.channels = channels
        self.hidden = hidden
        self.padding = kernel_size // 2
        self.gates = nn.Conv2d(channels + hidden, 4 * hidden, kernel_size, padding=self.padding)

    def forward(self, x: Tensor) -> Tensor:
        """Return the hidden state at every step: [B, T, C, H, W] to [B, T, hidden, H, W]."""
        over_input, over_hidden = torch.split(
            self.gates.weight, [self.channels, self.hidden], dim=1
        )
        inputs = self._all_steps(x, over_input)  # [B, T, 4 * hidden, H, W]
        over_hidden = over_hidden.contiguous(memory_format=torch.channels_last)
        cell = x.new_zeros(x.shape[0], self.hidden, *x.shape[3:])  # [B, hidden, H, W]
        state, states = cell, []
        for step in inputs.unbind(1):
            recurrent = functional.conv2d(state, over_hidden, padding=self.padding)
            enter, keep, show, new = (step + recurrent).chunk(4, dim=1)
            cell = keep.sigmoid() * cell + enter.sigmoid() * new.tanh()
            state = show.sigmoid() * cell.tanh()
            states.append(state)
        return torch.stack(states, dim=1)

    def _all_steps(self, x: Tensor, weight: Tensor) -> Tensor:
        flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        gates = functional.conv2d(flat, weight, self.gates.bias, padding=self.padding)
        return gates.view(*x.shape[:2], *gates.shape[1:])


class ConvLSTMAutoencoder(nn.Module):
    """Two encoder and two decoder cells, then a convolution and a sigmoid.

    Every step sees earlier steps only, so frames that pad a clip at its end change nothing before.
    """

    def __init__(self, config: ConvLSTMConfig) -> None:
        super().__init__()
        hidden, kernel = config.hidden, config.kernel_size
        self.config = config
        self.encoder = nn.Sequential(
            ConvLSTMCell(config.channels, hidden, kernel), ConvLSTMCell(hidden, hidden, kernel)
        )
        self.decoder = nn.Sequential(
            ConvLSTMCell(hidden, hidden, kernel), ConvLSTMCell(hidden, hidden, kernel)
        )
        self.output = nn.Conv2d(hidden, config.channels, kernel, padding=kernel // 2)

    def encode(self, frames: Tensor) -> Tensor:
        """Return the encoder's state at every frame.

        Args:
            frames: [B, T, C, H, W] in [0, 1].

        Returns:
            [B, T, hidden, H, W] in (-1, 1).
        """
        return self.encoder(frames)

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
            last = states[clips, lengths - 1]  # [B, hidden, H, W]
            states = last[:, None].expand_as(states)
        decoded = self.decoder(states)  # [B, T, hidden, H, W]
        drawn = self.output(decoded.flatten(0, 1)).sigmoid()  # [B * T, C, H, W]
        return drawn.view(frames.shape)


def reconstruction_loss(drawn: Tensor, frames: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean squared error over real frames, padding left out; [B, T, C, H, W] each."""
    steps = torch.arange(frames.shape[1], device=frames.device)
    real = steps < lengths[:, None]  # [B, T]
    error = (drawn - frames).square().mean(dim=(2, 3, 4))  # [B, T]
    return (error * real).sum() / real.sum()
