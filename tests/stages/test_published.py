"""What the published models read of a picture: channels of the last state, or moments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tiktok_virality.execution import Done, StageItem
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.trained import ModelSpec, TrainedModel
from tiktok_virality.stages.published import StateReader, moments

HIDDEN = 4


@dataclass
class InMemory:
    pixels: np.ndarray

    def load(self):
        return {"pixels": self.pixels}


def autoencoder() -> TrainedModel:
    torch.manual_seed(0)
    spec = ModelSpec(kind="autoencoder", convlstm=ConvLSTMConfig(hidden=HIDDEN))
    return TrainedModel(spec=spec, state=spec.build().state_dict())


def clip(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, 3, 16, 8), dtype=np.uint8)


def read(pixels: np.ndarray, *, channels: bool) -> np.ndarray:
    reader = StateReader(autoencoder(), channels, "cpu")
    reader.setup()
    (outcome,) = reader([StageItem(video_id="a", digest="0", payload=InMemory(pixels))])
    assert isinstance(outcome, Done)
    return np.asarray(outcome.columns["tokens"])


def states(pixels: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        return autoencoder().build().encode(torch.tensor(pixels)[None] / 255)[0]


def test_channels_of_the_last_state_are_as_wide_as_a_frame():
    pixels = clip(3)
    tokens = read(pixels, channels=True)
    assert tokens.shape == (HIDDEN, 16 * 8)
    np.testing.assert_allclose(tokens, states(pixels)[-1].flatten(1), atol=1e-3)


def test_moments_follow_the_frames_and_are_followed_by_zeros():
    pixels = clip(3)
    tokens = read(pixels, channels=False)
    assert tokens.shape == (HIDDEN, HIDDEN * 2 * 1)
    assert (tokens[3:] == 0).all()
    first = states(pixels)[0].reshape(HIDDEN, 2, 8, 8).mean(dim=(2, 3)).flatten()
    np.testing.assert_allclose(tokens[0], first, atol=1e-3)
    earlier = read(pixels[:2], channels=False)
    np.testing.assert_allclose(tokens[:2], earlier[:2], atol=1e-3)


def test_more_moments_than_tokens_are_thinned_out_evenly():
    levels = torch.arange(7.0)[:, None, None, None].expand(7, HIDDEN, 16, 8)
    assert moments(levels)[:, 0].tolist() == [0, 2, 4, 6]


def test_another_autoencoder_or_other_tokens_are_another_result():
    one = StateReader(autoencoder(), True)
    assert one.identity() != StateReader(autoencoder(), False).identity()
