"""Whisper's text decoder on a batch that shrinks, with keys and values kept from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.nn.utils.rnn import pad_sequence
from whisper.model import TextDecoder

NEAR_LOGITS: Final = 0.5
"""Logits this close to the largest are computed again where the first pass was in bfloat16."""


@dataclass
class Memory:
    """What the decoder attends to in encoded windows of any length, computed once per window.

    Attributes:
        keys: Of each layer, [B, H, T, d].
        values: Of each layer, [B, H, T, d].
        mask: Added to scores: 0 where states are a window's own, float32 [B, 1, 1, T];
            ``None``: everywhere.
    """

    keys: list[Tensor]
    values: list[Tensor]
    mask: Tensor | None

    def __len__(self) -> int:
        return len(self.keys[0])

    def take(self, rows: Tensor) -> Memory:
        """Return the memory of some windows, ``rows`` int64 [N]."""
        return Memory(
            [keys[rows] for keys in self.keys],
            [values[rows] for values in self.values],
            None if self.mask is None else self.mask[rows],
        )


@dataclass
class Past:
    """Keys and values of the tokens read so far, [layers, B, H, most tokens, d]."""

    keys: Tensor
    values: Tensor
    length: int = 0

    def append(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Keep those of new tokens, [B, H, n, d], and return those of all tokens."""
        end = self.length + keys.shape[2]
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def take(self, rows: Tensor) -> Past:
        """Return the past of some rows, int64 [N]."""
        return Past(self.keys[:, rows], self.values[:, rows], self.length)


class CachedDecoder:
    """Reads tokens a few at a time; the layers and weights are those of `TextDecoder`.

    What the blocks add up stays float32, also where they multiply in half precision.

    Args:
        decoder: Of a Whisper model.
        first_time: The first of the tokens that are times.
    """

    def __init__(self, decoder: TextDecoder, first_time: int) -> None:
        self._decoder = decoder
        self._first_time = first_time
        self._heads = decoder.blocks[0].attn.n_head
        self._precision = decoder.blocks[0].attn.query.weight.dtype
        self._vocabulary = decoder.token_embedding.weight.to(self._precision)

    def attend(self, states: Sequence[Tensor]) -> Memory:
        """Prepare windows, [T, D] each, for being written down."""
        lengths = torch.tensor([len(window) for window in states])  # [B]
        padded = pad_sequence(list(states), batch_first=True).to(self._precision)  # [B, T, D]
        attentions = [block.cross_attn for block in self._decoder.blocks]
        beyond = torch.arange(padded.shape[1]) >= lengths[:, None]  # [B, T]
        mask = torch.zeros(beyond.shape).masked_fill(beyond, -torch.inf)
        return Memory(
            [self._split(attention.key(padded)).contiguous() for attention in attentions],
            [self._split(attention.value(padded)).contiguous() for attention in attentions],
            mask[:, None, None].to(padded.device) if beyond.any() else None,
        )

    def begin(self, rows: int, most_tokens: int) -> Past:
        """Return the past before any token."""
        layers, size = len(self._decoder.blocks), self._vocabulary.shape[1] // self._heads
        shape = (layers, rows, self._heads, most_tokens, size)
        return Past(self._vocabulary.new_empty(shape), self._vocabulary.new_empty(shape))

    def read(self, tokens: Tensor, past: Past, memory: Memory) -> Tensor:
        """Read the next tokens of each row, and remember them in ``past``.

        Args:
            tokens: int64 [B, n]; more than one only at the beginning.
            past: Of the same rows.
            memory: Of the same rows.

        Returns:
            Logits of the token that follows, float32 [B, vocabulary].
        """
        decoder, count = self._decoder, tokens.shape[1]
        places = decoder.positional_embedding[past.length : past.length + count]
        x = decoder.token_embedding(tokens).float() + places  # [B, n, D]
        order = torch.full((count, count), -torch.inf, device=x.device).triu(1)  # [n, n]
        for layer, block in enumerate(decoder.blocks):
            h = block.attn_ln(x).to(self._precision)
            keys, values = self._split(block.attn.key(h)), self._split(block.attn.value(h))
            keys, values = past.append(layer, keys, values)
            query = self._split(block.attn.query(h))
            x = x + block.attn.out(_attention(query, keys, values, order if count > 1 else None))
            query = self._split(block.cross_attn.query(block.cross_attn_ln(x).to(self._precision)))
            keys, values = memory.keys[layer], memory.values[layer]
            x = x + block.cross_attn.out(_attention(query, keys, values, memory.mask))
            x = x + block.mlp(block.mlp_ln(x).to(self._precision))
        past.length += count
        return self._logits(decoder.ln(x[:, -1]))

    def _logits(self, x: Tensor) -> Tensor:
        """Return float32 [B, vocabulary] of features [B, D].

        The product with the vocabulary is the largest of a step. Where it is made in bfloat16,
        times and the likeliest words are computed again in float32: they decide what is written.
        """
        logits = linear(x.to(self._precision), self._vocabulary).float()
        exact = self._decoder.token_embedding.weight
        if self._precision == torch.bfloat16 and exact.dtype == torch.float32:
            logits[:, self._first_time :] = linear(x, exact[self._first_time :])
            near = logits >= logits.amax(dim=-1, keepdim=True) - NEAR_LOGITS
            rows, tokens = near.nonzero(as_tuple=True)
            logits[rows, tokens] = (x[rows] * exact[tokens]).sum(dim=-1)
        return logits

    def _split(self, x: Tensor) -> Tensor:
        """Divide features among heads: [B, T, D] to [B, H, T, d]."""
        return x.view(*x.shape[:2], self._heads, -1).transpose(1, 2)


def _attention(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Return what a few queries get from many keys: [B, H, n, d] to [B, n, D].

    For so few queries torch's own is no faster on a CPU, and far slower in bfloat16.
    """
    query = query * query.shape[-1] ** -0.5
    scores = (query @ keys.transpose(-1, -2)).float()  # [B, H, n, T]
    if mask is not None:
        scores = scores + mask
    heard = scores.softmax(dim=-1).to(values.dtype) @ values  # [B, H, n, d]
    return heard.transpose(1, 2).flatten(2)
