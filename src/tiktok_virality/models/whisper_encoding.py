"""Whisper's encoder on windows of any length: each clip's states, the same alone and in a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
import whisper
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention
from whisper.model import AudioEncoder, MultiHeadAttention, Whisper

from tiktok_virality.models.configs import Precision
from tiktok_virality.models.device_memory import FittingBatches
from tiktok_virality.models.precision import bfloat16_is_native, has_gpu
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_windows import Window, cut_windows
from tiktok_virality.schema import WeightsError

HALF_PRECISION: Final = (nn.Conv1d, nn.Linear, nn.Embedding)
"""Layers that Whisper casts to the precision of its input at every step, unless they have it."""


@dataclass(frozen=True)
class EncodedWindow:
    """A window and its encoder states [T, D], those of the padding included."""

    window: Window
    states: Tensor

    @property
    def real_states(self) -> Tensor:
        """States of the window itself, [T, D]."""
        return self.states[: self.window.states]


def load_whisper(checkpoint: Checkpoint, device: str, precision: Precision = "mixed") -> Whisper:
    """Load Whisper.

    Args:
        checkpoint: The weights.
        device: ``auto``, ``cpu`` or ``cuda``; ``auto`` takes a GPU when there is one.
        precision: As in `WhisperParameters`.

    Raises:
        WeightsError: The file is no checkpoint of openai-whisper.
    """
    gpu = has_gpu(device)
    try:
        model = whisper.load_model(str(checkpoint.path), device="cuda" if gpu else "cpu").eval()
    except Exception as error:  # what torch raises depends on the bytes it finds
        raise WeightsError(
            f"{checkpoint.path} cannot be loaded as a checkpoint of openai-whisper ({error}). "
            "Delete it if it lies in a cache; otherwise change audio.whisper.weights."
        ) from error
    if precision == "full" or (precision == "auto" and not gpu):
        return model
    if gpu:
        for module in model.modules():
            if isinstance(module, HALF_PRECISION):
                module.half()
    elif bfloat16_is_native("cpu"):
        for module in model.modules():
            if isinstance(module, nn.Linear):
                module.bfloat16()
    return model


def encode(encoder: AudioEncoder, mel: Tensor) -> Tensor:
    """Run the encoder on mel spectrograms of any length.

    `AudioEncoder.forward` takes 30 s and nothing else; the layers themselves do not mind.

    What the blocks add up stays float32, also where they multiply in half precision.

    Args:
        encoder: Of a Whisper model.
        mel: [B, mels, 2 * T], in the precision of the convolutions.

    Returns:
        float32 [B, T, D], one state per 20 ms.
    """
    for x in block_states(encoder, mel):
        last = x
    return encoder.ln_post(last)


def block_states(encoder: AudioEncoder, mel: Tensor) -> Iterator[Tensor]:
    """Yield what the first block reads, then what each block makes of it.

    Args:
        encoder: Of a Whisper model.
        mel: As in `encode`.

    Yields:
        float32 [B, T, D], one state per 20 ms.
    """
    x = gelu(encoder.conv1(mel))  # [B, D, 2 T]
    x = gelu(encoder.conv2(x)).permute(0, 2, 1)  # [B, T, D]
    x = x.float() + encoder.positional_embedding[: x.shape[1]]
    yield x
    for block in encoder.blocks:
        precision = block.attn.query.weight.dtype
        x = x + _attention(block.attn, block.attn_ln(x).to(precision))
        x = x + block.mlp(block.mlp_ln(x).to(precision))
        yield x


def _attention(attention: MultiHeadAttention, x: Tensor) -> Tensor:
    """Let states attend to each other: [B, T, D] to [B, T, D].

    bfloat16 is for the linear layers: torch's attention in it is no faster than in float32 on a
    CPU without matrix units, and loses digits.
    """
    heads = [
        layer(x).view(*x.shape[:2], attention.n_head, -1).transpose(1, 2)  # [B, H, T, d]
        for layer in (attention.query, attention.key, attention.value)
    ]
    if x.dtype == torch.bfloat16:
        heads = [part.float() for part in heads]
    heard = scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
    return attention.out(heard.to(x.dtype))


class WindowEncoder:
    """Encodes windows of many clips, those of one length together.

    Args:
        model: Whisper, on its device.
        batch_size: Windows encoded together at most.
    """

    def __init__(self, model: Whisper, batch_size: int) -> None:
        self._model = model
        self._batches = FittingBatches("Whisper's encoder", batch_size)

    def __call__(
        self, waveforms: Sequence[np.ndarray], windows: Sequence[Window]
    ) -> list[EncodedWindow]:
        """Return the states of each window, in order.

        Args:
            waveforms: float32 [samples] at 16 kHz, one per clip.
            windows: Each of a clip.
        """
        states: dict[Window, Tensor] = {}
        for group in by_length(windows):
            for encoded in self._batches.map(partial(self._encode, waveforms), group):
                states |= encoded
        return [EncodedWindow(window, states[window]) for window in windows]

    def _encode(
        self, waveforms: Sequence[np.ndarray], batch: Sequence[Window]
    ) -> dict[Window, Tensor]:
        mel = torch.stack(
            [log_mel(self._model, waveforms[window.clip], window) for window in batch]
        )
        with torch.inference_mode():
            encoded = encode(self._model.encoder, mel)  # [B, T, D]
        return dict(zip(batch, encoded, strict=True))


def log_mel(model: Whisper, waveform: np.ndarray, window: Window) -> Tensor:
    """Return the log-mel spectrogram of a window and its padding, [mels, 2 * T]."""
    mel = whisper.log_mel_spectrogram(
        torch.tensor(waveform[window.start_sample : window.end_sample]),
        model.dims.n_mels,
        padding=window.padded_samples - window.samples,
        device=model.device,
    )
    return mel.to(model.encoder.conv1.weight.dtype)


def clip_block_states(model: Whisper, waveform: np.ndarray) -> Tensor:
    """Average the states around the encoder's blocks over a clip, its padding left out.

    Args:
        model: Whisper, on its device.
        waveform: float32 [samples] at 16 kHz, at least one.

    Returns:
        float32 [blocks + 1, D]: what the first block reads, then what each block makes of it.
    """
    windows = cut_windows(0, len(waveform), [])
    total = torch.zeros(1)
    with torch.inference_mode():
        for window in windows:
            mel = log_mel(model, waveform, window)[None]
            states = [x[0, : window.states].sum(dim=0) for x in block_states(model.encoder, mel)]
            total = total + torch.stack(states).cpu()  # [blocks + 1, D]
    return total / sum(window.states for window in windows)


def by_length(windows: Iterable[Window]) -> list[list[Window]]:
    """Group windows that have the same length once padded, the shortest first."""
    groups: dict[int, list[Window]] = defaultdict(list)
    for window in windows:
        groups[window.padded_samples].append(window)
    return [group for _, group in sorted(groups.items())]


def pool_states(states: Tensor, states_per_token: int) -> Tensor:
    """Average states over equal stretches of the clip; the last may be shorter.

    Args:
        states: [T, D], of the clip and not of its padding.
        states_per_token: Length of a stretch.

    Returns:
        float32 [ceil(T / states_per_token), D].
    """
    parts = torch.split(states, states_per_token)
    return torch.stack([part.float().mean(dim=0) for part in parts])
