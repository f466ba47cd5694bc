"""Whisper's encoder on windows of any length: each clip's states, the same alone and in a batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import whisper
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention
from whisper.model import AudioEncoder, MultiHeadAttention, Whisper

from tiktok_virality.models.configs import Precision
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
    *_, last = layer_states(encoder, mel)
    return encoder.ln_post(last)


def layer_states(encoder: AudioEncoder, mel: Tensor) -> Iterator[Tensor]:
    """Yield what the blocks read, and what each of them gives, float32 [B, T, D] each.

    Args:
        encoder: Of a Whisper model.
        mel: [B, mels, 2 * T], in the precision of the convolutions.
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
        self._batch_size = batch_size
        self._precision = model.encoder.conv1.weight.dtype

    def __call__(
        self, waveforms: Sequence[np.ndarray], windows: Sequence[Window]
    ) -> list[EncodedWindow]:
        """Return the states of each window, in order.

        Args:
            waveforms: float32 [samples] at 16 kHz, one per clip.
            windows: Each of a clip.
        """
        states: dict[Window, Tensor] = {}
        for batch in in_batches(windows, self._batch_size):
            mel = torch.stack([self._mel(waveforms[window.clip], window) for window in batch])
            with torch.inference_mode():
                encoded = encode(self._model.encoder, mel)  # [B, T, D]
            states |= dict(zip(batch, encoded, strict=True))
        return [EncodedWindow(window, states[window]) for window in windows]

    def average_layers(self, waveform: np.ndarray) -> np.ndarray:
        """Return what the blocks read and what each gives, averaged over a clip, float32 [L, D].

        Args:
            waveform: float32 [samples] at 16 kHz.
        """
        windows = cut_windows(0, len(waveform), [])
        sums, count = torch.zeros(()), sum(window.states for window in windows)
        with torch.inference_mode():
            for window in windows:
                mel = self._mel(waveform, window)[None]
                layers = torch.cat(list(layer_states(self._model.encoder, mel)))  # [L, T, D]
                sums = sums + layers[:, : window.states].sum(dim=1).cpu()
        return (sums / count).numpy()

    def _mel(self, waveform: np.ndarray, window: Window) -> Tensor:
        """Return the log-mel spectrogram of a window and its padding, [mels, 2 * T]."""
        mel = whisper.log_mel_spectrogram(
            torch.tensor(waveform[window.start_sample : window.end_sample]),
            self._model.dims.n_mels,
            padding=window.padded_samples - window.samples,
            device=self._model.device,
        )
        return mel.to(self._precision)


def in_batches(windows: Iterable[Window], batch_size: int) -> Iterator[list[Window]]:
    """Group windows that have the same length once padded."""
    groups: dict[int, list[Window]] = defaultdict(list)
    for window in windows:
        groups[window.padded_samples].append(window)
    for _, group in sorted(groups.items()):
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]


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
