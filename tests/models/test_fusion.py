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

SIZES = {"visual": 6, "audio": 4}
SHAPE = TransformerConfig(width=16, layers=2, heads=2, feedforward=32, dropout=0.1)
KINDS = ["visual", "audio", "late_fusion", "early_fusion"]


def build(kind: str) -> torch.nn.Module:
    torch.manual_seed(0)
    model = ModelSpec(kind=kind, transformer=SHAPE, token_sizes=SIZES).build_deep().eval()
    if isinstance(model, LateFusion):  # as after training: no longer the plain mean
        torch.nn.init.normal_(model.gate.weight)
        torch.nn.init.normal_(model.joint[-1].weight)
    return model


def clip(seed: int, visual: int | None, audio: int | None) -> ClipTokens:
    rng = np.random.default_rng(seed)

    def tokens(count: int | None, size: int) -> np.ndarray | None:
        return None if count is None else rng.normal(size=(count, size)).astype(np.float32)

    return ClipTokens(visual=tokens(visual, 6), audio=tokens(audio, 4))


CLIPS = [clip(1, 3, 5), clip(2, 9, 2), clip(3, 4, None), clip(4, None, 7), clip(5, None, None)]


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
        assert build(kind)(token_batch([clip(5, None, None)], SIZES)) == 0


def test_a_clip_without_audio_keeps_its_visual_prediction():
    ensemble = build("late_fusion")
    batch = token_batch([clip(3, 4, None)], SIZES)
    with torch.inference_mode():
        alone = ensemble.transformer("visual")(batch.tokens["visual"], batch.padding["visual"])
        assert torch.equal(ensemble(batch), alone)


def test_a_clip_without_frames_keeps_its_audio_prediction():
    ensemble = build("late_fusion")
    batch = token_batch([clip(4, None, 7)], SIZES)
    with torch.inference_mode():
        alone = ensemble.transformer("audio")(batch.tokens["audio"], batch.padding["audio"])
        assert torch.equal(ensemble(batch), alone)


def test_an_untrained_fusion_is_the_mean_of_the_two_decisions():
    torch.manual_seed(0)
    spec = ModelSpec(kind="late_fusion", transformer=SHAPE, token_sizes=SIZES)
    ensemble = spec.build_deep().eval()
    batch = token_batch(CLIPS[:2], SIZES)
    with torch.inference_mode():
        decisions = [
            ensemble.transformer(name)(batch.tokens[name], batch.padding[name]) for name in SIZES
        ]
        torch.testing.assert_close(ensemble(batch), torch.stack(decisions).mean(dim=0))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_stay_finite_when_modalities_are_missing(kind):
    model = build(kind).train()
    model(token_batch(CLIPS, SIZES)).square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="heads=3 must divide width=16"):
        TransformerConfig(width=16, heads=3)
