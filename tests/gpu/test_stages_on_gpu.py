"""Networks on a GPU give what they give on a processor, and fit their batches to the card."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import whisper
from whisper.model import ModelDimensions, Whisper

from tests.stages.stills import patches, still_item
from tests.stages.test_embedding import autoencoder, item, noise, tokens
from tiktok_virality.models.image_configs import ImageParameters
from tiktok_virality.models.image_weights import find_image_checkpoint
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_encoding import WindowEncoder, load_whisper
from tiktok_virality.models.whisper_windows import cut_windows
from tiktok_virality.schema import SAMPLE_RATE_HZ
from tiktok_virality.stages.embedding import ClipEmbedder
from tiktok_virality.stages.image import ImageEmbedder

GRID = (2, 1)
SIZE_OF_BASE = {"state": 512, "head": 8, "layer": 6}


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.astype(float).ravel(), other.astype(float).ravel())[0, 1])


def embedded(device: str, clips: Sequence) -> list[np.ndarray]:
    embedder = ClipEmbedder(autoencoder(), GRID, device)
    embedder.setup()
    return [tokens(outcome) for outcome in embedder(clips)]


def test_states_of_the_autoencoder_are_those_of_a_processor():
    clips = [item("short", noise(2, 1)), item("long", noise(7, 2))]
    for here, there in zip(embedded("cpu", clips), embedded("cuda", clips), strict=True):
        np.testing.assert_allclose(there, here, atol=5e-3)


@pytest.fixture(scope="module")
def image_weights(tmp_path_factory):
    """A network of timm whose weights are drawn."""
    import timm
    from safetensors.torch import save_file

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "drawn.safetensors"
    save_file(timm.create_model(ImageParameters().model, pretrained=False).state_dict(), path)
    return ImageParameters(side=128, weights=path)


def test_stills_look_as_they_do_on_a_processor(image_weights):
    clip = still_item("a", *map(patches, range(3)))
    made = {}
    for device in ("cpu", "cuda"):
        embedder = ImageEmbedder(image_weights, find_image_checkpoint(image_weights), device)
        embedder.setup()
        (outcome,) = embedder([clip])
        made[device] = tokens(outcome)
    assert np.isfinite(made["cuda"].astype(float)).all()
    assert correlation(made["cuda"], made["cpu"]) > 0.999


def test_stills_that_do_not_fit_together_are_seen_in_smaller_batches(
    image_weights, caplog, card_of
):
    embedder = ImageEmbedder(
        image_weights.model_copy(update={"side": 1024}),
        find_image_checkpoint(image_weights),
        "cuda",
    )
    embedder.setup()
    clip = still_item("long", *(patches(seed) for seed in range(32)))
    (whole,) = embedder([clip])
    with card_of(1.5), caplog.at_level(logging.WARNING):
        parts = [embedder([clip])[0], embedder([clip])[0]]
    assert 1 <= sum("do not fit" in row.message for row in caplog.records) <= 4
    for part in parts:
        assert correlation(tokens(part), tokens(whole)) > 0.999


@pytest.fixture(scope="module")
def drawn_whisper(tmp_path_factory) -> Checkpoint:
    """A Whisper as large as `base`, with drawn weights, in a file as openai publishes them."""
    torch.manual_seed(5)
    sizes = ModelDimensions(
        n_mels=80,
        n_audio_ctx=1500,
        n_vocab=51_865,
        n_text_ctx=448,
        **{f"n_audio_{name}": size for name, size in SIZE_OF_BASE.items()},
        **{f"n_text_{name}": size for name, size in SIZE_OF_BASE.items()},
    )
    model = Whisper(sizes)
    torch.nn.init.normal_(model.decoder.positional_embedding)
    path = tmp_path_factory.mktemp("whisper") / "drawn.pt"
    torch.save({"dims": vars(sizes), "model_state_dict": model.state_dict()}, path)
    return Checkpoint(path=path, digest="drawn")


def sounds(clips: int, seconds: int) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.normal(0, 0.1, seconds * SAMPLE_RATE_HZ).astype(np.float32) for _ in range(clips)]


def encoded(model: whisper.Whisper, clips: int, batch_size: int) -> torch.Tensor:
    waveforms = sounds(clips, 30)
    windows = [
        window
        for clip, waveform in enumerate(waveforms)
        for window in cut_windows(clip, len(waveform), [])
    ]
    found = WindowEncoder(model, batch_size)(waveforms, windows)
    return torch.cat([each.real_states for each in found]).float().cpu()


@pytest.mark.parametrize("precision", ["full", "mixed"])
def test_whisper_hears_what_it_hears_on_a_processor(drawn_whisper, precision):
    here = encoded(load_whisper(drawn_whisper, "cpu", "full"), 2, 2)
    there = encoded(load_whisper(drawn_whisper, "cuda", precision), 2, 2)
    assert correlation(there.numpy(), here.numpy()) > 0.998


def test_windows_that_do_not_fit_together_are_heard_in_smaller_batches(
    drawn_whisper, caplog, card_of
):
    model = load_whisper(drawn_whisper, "cuda", "full")
    whole = encoded(model, 48, 8)
    with card_of(1.5), caplog.at_level(logging.WARNING):
        parts = encoded(model, 48, 48)
    assert 1 <= sum("do not fit" in row.message for row in caplog.records) <= 4
    assert correlation(parts.numpy(), whole.numpy()) > 0.999
