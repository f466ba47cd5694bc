from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tiktok_virality.models.whisper_encoding import encode


@pytest.fixture
def mel():
    return torch.randn(2, 80, 3000, generator=torch.Generator().manual_seed(2))


def test_thirty_seconds_give_what_whispers_own_encoder_gives(small_whisper, mel):
    with torch.inference_mode():
        ours, theirs = encode(small_whisper.encoder, mel), small_whisper.encoder(mel)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_window_gives_the_same_alone_and_in_a_batch(small_whisper, mel, precision):
    encoder = copy.deepcopy(small_whisper.encoder)
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            module.to(precision)
    short = mel[:, :, :1000]
    with torch.inference_mode():
        alone, together = encode(encoder, short[1:]), encode(encoder, short)[1:]
    assert together.dtype == torch.float32
    assert together.shape == (1, 500, 64)
    torch.testing.assert_close(alone, together, rtol=1e-3, atol=1e-3)
