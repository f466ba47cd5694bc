"""The linear readout and the blend: missing modalities, padding, and who may be trusted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.fusion import LateFusion
from tiktok_virality.models.readout import Blended, LinearReadout, pooled_tokens
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.training.corpus import ClipTokens
from tiktok_virality.training.data import token_batch

SIZES = {"visual": 6, "audio": 4}
SHAPE = TransformerConfig(width=16, layers=1, heads=2, feedforward=32)


def tokens(seed: int, count: int, size: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32)


BOTH = ClipTokens(visual=tokens(0, 5, 6), audio=tokens(1, 3, 4))
SILENT = ClipTokens(visual=tokens(2, 9, 6), audio=None)
NOTHING = ClipTokens(visual=None, audio=None)


@pytest.fixture
def ensemble() -> Blended:
    torch.manual_seed(0)
    model = ModelSpec(kind="late_fusion", transformer=SHAPE, token_sizes=SIZES).build().eval()
    assert isinstance(model, Blended)
    model.readout.scale.mean.normal_()
    return model


@torch.inference_mode()
def test_a_clip_has_the_same_decision_alone_and_in_a_batch(ensemble):
    clips = [BOTH, SILENT, NOTHING]
    alone = torch.cat([ensemble(token_batch([clip], SIZES)) for clip in clips])
    torch.testing.assert_close(ensemble(token_batch(clips, SIZES)), alone, atol=1e-5, rtol=1e-5)
    assert alone[2] == 0


@torch.inference_mode()
def test_a_clip_without_audio_keeps_the_visual_decision_of_both_parts(ensemble):
    batch = token_batch([SILENT], SIZES)
    readout, deep = ensemble.readout, ensemble.deep
    assert isinstance(deep, LateFusion)
    visual = slice(0, 2 * SIZES["visual"])
    scaled = readout.scale(
        torch.cat([pooled_tokens(batch.tokens[n], batch.padding[n]) for n in SIZES], dim=1)
    )
    linear = scaled[:, visual] @ readout.linear.weight[0, visual] + readout.linear.bias
    transformer = deep.transformer("visual")(batch.tokens["visual"], batch.padding["visual"])
    torch.testing.assert_close(ensemble(batch), (linear + transformer) / 2)


@torch.inference_mode()
def test_trust_moves_the_decision_from_the_readout_to_the_transformer(ensemble):
    batch = token_batch([BOTH], SIZES)
    for trust, part in ((0.0, ensemble.readout), (1.0, ensemble.deep)):
        ensemble.trust.fill_(trust)
        torch.testing.assert_close(ensemble(batch), part(batch))


def test_pooling_leaves_padding_out():
    batch = token_batch([BOTH, SILENT], SIZES)
    pooled = pooled_tokens(batch.tokens["visual"], batch.padding["visual"])[0]
    expected = np.concatenate([BOTH.visual.mean(0), BOTH.visual.std(0)])
    torch.testing.assert_close(pooled, torch.from_numpy(expected))


def test_a_readout_of_one_modality_is_blind_to_the_other():
    readout = LinearReadout({"visual": 6})
    other = ClipTokens(visual=BOTH.visual, audio=tokens(7, 8, 4))
    decisions = readout(token_batch([BOTH, other], SIZES))
    torch.testing.assert_close(decisions[0], decisions[1])
