"""The embedding stage: one token per frame, the same alone and in any batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from tiktok_virality.execution import Done, StageItem
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.trained import ModelSpec, TrainedModel
from tiktok_virality.stages.embedding import ClipEmbedder

HIDDEN, GRID = 4, (2, 1)
STATE_SIZE = HIDDEN * GRID[0] * GRID[1]


@dataclass(frozen=True)
class Frames:
    """A payload as the stage store hands it out."""

    pixels: np.ndarray

    def load(self) -> dict[str, np.ndarray]:
        seconds = np.arange(len(self.pixels), dtype=np.float32)
        return {"pixels": self.pixels, "timestamps_seconds": seconds}


def item(video_id: str, pixels: np.ndarray) -> StageItem:
    return StageItem(video_id=video_id, digest=video_id, payload=Frames(pixels))


def noise(length: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (length, 3, 12, 8), np.uint8)


def autoencoder(seed: int = 0) -> TrainedModel:
    torch.manual_seed(seed)
    spec = ModelSpec(kind="autoencoder", convlstm=ConvLSTMConfig(hidden=HIDDEN))
    return TrainedModel(spec=spec, state=spec.build().state_dict())


@pytest.fixture
def embedder() -> ClipEmbedder:
    embedder = ClipEmbedder(autoencoder(), GRID, "cpu")
    embedder.setup()
    return embedder


def tokens(outcome: object) -> np.ndarray:
    assert isinstance(outcome, Done)
    return outcome.columns["tokens"]


def test_every_frame_gives_one_token_and_keeps_its_time(embedder):
    (outcome,) = embedder([item("a", noise(5, 0))])
    assert tokens(outcome).shape == (5, 2 * STATE_SIZE)
    assert tokens(outcome).dtype == np.float16
    np.testing.assert_array_equal(outcome.columns["timestamps_seconds"], np.arange(5))


def test_a_clip_has_the_same_embedding_alone_and_padded_in_a_batch(embedder):
    clips = [item("short", noise(2, 1)), item("long", noise(7, 2)), item("one", noise(1, 3))]
    for alone, together in zip(clips, embedder(clips), strict=True):
        (expected,) = embedder([alone])
        np.testing.assert_allclose(tokens(together), tokens(expected), atol=1e-3)


def test_a_cut_stands_out_in_the_change_of_its_token(embedder):
    pixels = np.zeros((8, 3, 12, 8), np.uint8)
    pixels[5:] = 255
    (outcome,) = embedder([item("cut", pixels)])
    change = tokens(outcome)[:, STATE_SIZE:].astype(float).mean(axis=1)
    assert change[0] == 0
    assert change[5] > 5 * change[4]


def test_the_autoencoder_and_the_grid_decide_the_identity():
    identities = [
        ClipEmbedder(autoencoder(0), GRID).identity(),
        ClipEmbedder(autoencoder(1), GRID).identity(),
        ClipEmbedder(autoencoder(0), (1, 1)).identity(),
    ]
    assert ClipEmbedder(autoencoder(0), GRID, "cpu").identity() == identities[0]
    assert all(identities.count(each) == 1 for each in identities)
