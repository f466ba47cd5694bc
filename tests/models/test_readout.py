"""The bilinear readout and the blend: missing modalities, padding, and who may be trusted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiktok_virality.models import evidence
from tiktok_virality.models import readout as readout_module
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.fusion import LateFusion
from tiktok_virality.models.readout import BilinearReadout, Blended
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
    for values in model.readout.state_dict().values():
        values.normal_()
    for scale in model.readout.scales.values():
        scale.deviation.fill_(2.0)
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
    mean = torch.from_numpy(SILENT.visual.mean(0))
    scaled = (mean - readout.scales["visual"].mean) / 2.0
    weight = torch.cat([readout.weights["pace"], readout.weights["visual"]])
    transformer = deep.transformer("visual")(batch.tokens["visual"], batch.padding["visual"])
    torch.testing.assert_close(ensemble(batch), (scaled @ weight + transformer) / 2)


@torch.inference_mode()
def test_trust_moves_the_decision_from_the_readout_to_the_transformer(ensemble):
    batch = token_batch([BOTH], SIZES)
    for trust, part in ((0.0, ensemble.readout), (1.0, ensemble.deep)):
        ensemble.trust.fill_(trust)
        torch.testing.assert_close(ensemble(batch), part(batch))


def test_a_readout_of_one_modality_is_blind_to_the_other():
    readout = BilinearReadout({"visual": 6})
    for weight in readout.weights.values():
        weight.normal_()
    other = ClipTokens(visual=BOTH.visual, audio=tokens(7, 8, 4))
    decisions = readout(token_batch([BOTH, other], SIZES))
    torch.testing.assert_close(decisions[0], decisions[1])
    assert decisions[0] != 0


def corpus(seed: int, count: int) -> tuple[list[ClipTokens], np.ndarray, np.ndarray]:
    """Clips whose pace makes the same sound good or bad, by creators who differ in luck."""
    rng = np.random.default_rng(seed)
    visual, audio = rng.normal(size=(count, 6)), rng.normal(size=(count, 4))
    creators = np.arange(count) // 4
    luck = rng.normal(size=count)[creators]
    views = 1.5 * visual[:, 0] * audio[:, 1] + 0.5 * luck + 0.3 * rng.normal(size=count)
    clips = [
        ClipTokens(visual=v[None].astype(np.float32), audio=a[None].astype(np.float32))
        for v, a in zip(visual, audio, strict=True)
    ]
    return clips, views, creators


def r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    return 1 - np.square(truth - predicted).sum() / np.square(truth - truth.mean()).sum()


def test_a_readout_finds_a_product_that_neither_modality_shows():
    clips, views, creators = corpus(seed=0, count=200)
    new, truth, _ = corpus(seed=1, count=200)
    scores = {}
    for name, sizes in (("both", SIZES), ("visual", {"visual": 6}), ("audio", {"audio": 4})):
        readout = BilinearReadout(sizes)
        readout.fit(token_batch(clips, SIZES), views / views.std(), creators)
        scores[name] = r2(truth, readout(token_batch(new, SIZES)).numpy() * views.std())
    assert scores["both"] > 0.8
    assert scores["visual"] < 0.1
    assert scores["audio"] < 0.1


def test_the_same_clips_give_the_same_readout():
    clips, views, creators = corpus(seed=2, count=60)
    first, second = BilinearReadout(SIZES), BilinearReadout(SIZES)
    for readout in (first, second):
        readout.fit(token_batch(clips, SIZES), views / views.std(), creators)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_readout_can_be_fitted_where_no_clip_has_sound():
    clips, views, creators = corpus(seed=3, count=40)
    silent = [ClipTokens(visual=clip.visual, audio=None) for clip in clips]
    readout = BilinearReadout({"visual": 6, "audio": 1})
    readout.fit(token_batch(silent, {"visual": 6, "audio": 1}), views / views.std(), creators)
    assert all(torch.isfinite(value).all() for value in readout.state_dict().values())


def test_of_many_clips_a_few_find_the_product_and_all_teach_the_rest(monkeypatch):
    clips, views, creators = corpus(seed=4, count=400)
    views = views + 0.8 * np.array([clip.visual[0, 5] for clip in clips])
    new, truth, _ = corpus(seed=5, count=200)
    truth = truth + 0.8 * np.array([clip.visual[0, 5] for clip in new])
    largest = []
    weigh = readout_module.weigh_kernels

    def counted(kernels, target):
        largest.append(len(target))
        return weigh(kernels, target)

    monkeypatch.setattr(evidence, "CLIPS_FOR_KERNELS", 100)
    monkeypatch.setattr(readout_module, "weigh_kernels", counted)
    readout = BilinearReadout(SIZES)
    readout.fit(token_batch(clips, SIZES), views / views.std(), creators)
    assert largest == [100]
    assert r2(truth, readout(token_batch(new, SIZES)).numpy() * views.std()) > 0.8
