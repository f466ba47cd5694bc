"""A small Whisper."""

from __future__ import annotations

import pytest
import torch
from whisper.model import ModelDimensions, Whisper


@pytest.fixture(scope="package")
def small_whisper() -> Whisper:
    """A Whisper of two narrow layers with the whole vocabulary, its weights drawn."""
    torch.manual_seed(5)
    sizes = {"state": 64, "head": 2, "layer": 2}
    model = Whisper(
        ModelDimensions(
            n_mels=80,
            n_audio_ctx=1500,
            n_vocab=51_865,
            n_text_ctx=448,
            **{f"n_audio_{name}": size for name, size in sizes.items()},
            **{f"n_text_{name}": size for name, size in sizes.items()},
        )
    ).eval()
    torch.nn.init.normal_(model.decoder.positional_embedding)
    return model
