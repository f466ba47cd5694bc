"""Modality Transformers and fusions: padding, missing modalities, and what the gate may do."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.fusion import LateFusion
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.training.corpus import ClipTokens
from tiktok_virality.training.data import token_batch

SIZES = {"visual": 6, "audio": 4, "text": 3}
SHAPE = TransformerConfig(width=16, layers=2, heads=2, feedforward=32, dropout=0.1)
KINDS = [*SIZES, "late_fusion", "early_fusion"]


def spec_of(kind: str) -> ModelSpec:
    if kind in SIZES:
        sizes = {kind: SIZES[kind]}
        return ModelSpec(kind="modality", transformer=SHAPE, token_sizes=sizes)
    return ModelSpec(kind=kind, transformer=SHAPE, token_sizes=SIZES)


def build(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = spec_of(kind).build_deep().eval()
    if isinstance(model, LateFusion):  # as after training: no longer halves of the decisions
        torch.nn.init.normal_(model.gate.weight)
        torch.nn.init.normal_(model.joint[-1].weight)
    return model


def clip(seed: int, **counts: int) -> ClipTokens:
    rng = np.random.default_rng(seed)
    return ClipTokens(
        tokens={
            name: rng.normal(size=(count, SIZES[name])).astype(np.float32)
            for name, count in counts.items()
        }
    )


NOTHING = clip(0)
CLIPS = [
    clip(1, visual=3, audio=5, text=1),
    clip(2, visual=9, audio=2),
    *(clip(3, **{name: 4}) for name in SIZES),
    clip(4, audio=7, text=2),
    NOTHING,
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_has_the_same_prediction_alone_and_in_a_batch(kind):
    model = build(kind)
    with torch.inference_mode():
        together = model(token_batch(CLIPS, SIZES))
        alone = torch.cat([model(token_batch([each], SIZES)) for each in CLIPS])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_of_which_nothing_is_known_is_given_the_training_mean(kind):
    with torch.inference_mode():
        assert build(kind)(token_batch([NOTHING], SIZES)) == 0


@pytest.mark.parametrize("name", SIZES)
def test_a_clip_that_has_one_modality_keeps_its_decision_exactly(name):
    ensemble = build("late_fusion")
    batch = token_batch([clip(3, **{name: 4})], SIZES)
    with torch.inference_mode():
        alone = ensemble.transformer(name)(batch.tokens[name], batch.padding[name])
        assert torch.equal(ensemble(batch), alone)


def test_an_untrained_fusion_adds_half_of_every_decision():
    torch.manual_seed(0)
    ensemble = spec_of("late_fusion").build_deep().eval()
    batch = token_batch(CLIPS[:2], SIZES)
    with torch.inference_mode():
        decisions = [
            ensemble.transformer(name)(batch.tokens[name], batch.padding[name]) for name in SIZES
        ]
        torch.testing.assert_close(ensemble(batch), torch.stack(decisions).sum(dim=0) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_stay_finite_when_modalities_are_missing(kind):
    model = build(kind).train()
    model(token_batch(CLIPS, SIZES)).square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="heads=3 must divide width=16"):
        TransformerConfig(width=16, heads=3)
