"""The readout and the blend: missing modalities, what is found, and who may be trusted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiktok_virality.models import evidence
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.readout import Blended, SecondOrderReadout
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.training.corpus import ClipTokens
from tiktok_virality.training.data import token_batch

SIZES = {"visual": 6, "audio": 4, "text": 3}
SHAPE = TransformerConfig(width=16, layers=1, heads=2, feedforward=32)


def clip(seed: int, **counts: int) -> ClipTokens:
    rng = np.random.default_rng(seed)
    return ClipTokens(
        tokens={
            name: rng.normal(size=(count, SIZES[name])).astype(np.float32)
            for name, count in counts.items()
        }
    )


WHOLE = clip(0, visual=5, audio=3, text=1)
SILENT = clip(1, visual=9, text=1)
SPOKEN = clip(2, audio=4)
NOTHING = clip(3)


def batch(clips: list[ClipTokens], sizes: dict[str, int] = SIZES) -> TokenBatch:
    return token_batch(clips, sizes, pooled=True)


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
    clips = [WHOLE, SILENT, SPOKEN, NOTHING]
    alone = torch.cat([ensemble(batch([each])) for each in clips])
    torch.testing.assert_close(ensemble(batch(clips)), alone, atol=1e-4, rtol=1e-4)
    assert alone[-1] == 0


@torch.inference_mode()
def test_a_readout_of_all_says_of_a_clip_with_one_modality_what_that_one_says(ensemble):
    readout = ensemble.readout
    alone = SecondOrderReadout({"audio": 4})
    known = alone.state_dict()
    alone.load_state_dict({name: readout.state_dict()[name] for name in known})
    torch.testing.assert_close(readout(batch([SPOKEN])), alone(batch([SPOKEN], {"audio": 4})))


@torch.inference_mode()
def test_trust_moves_the_decision_from_the_readout_to_the_transformer(ensemble):
    for trust, part in ((0.0, ensemble.readout), (1.0, ensemble.deep)):
        ensemble.trust.fill_(trust)
        torch.testing.assert_close(ensemble(batch([WHOLE])), part(batch([WHOLE])))


def corpus(seed: int, count: int) -> tuple[list[ClipTokens], np.ndarray, np.ndarray]:
    """Single tokens of noise, by creators of four clips who differ in luck; nothing else counts."""
    rng = np.random.default_rng(seed)
    clips = [
        ClipTokens(
            tokens={
                name: rng.normal(size=(1, size)).astype(np.float32) for name, size in SIZES.items()
            }
        )
        for _ in range(count)
    ]
    creators = np.arange(count) // 4
    views = 0.5 * rng.normal(size=count)[creators] + 0.3 * rng.normal(size=count)
    return clips, views, creators


def column(clips: list[ClipTokens], name: str, place: int) -> np.ndarray:
    return np.array([each.tokens[name][0, place] for each in clips])


EFFECTS = {
    "linear": lambda clips: 1.5 * column(clips, "visual", 0) - column(clips, "text", 2),
    "product": lambda clips: 1.5 * column(clips, "visual", 0) * column(clips, "audio", 1),
    "square": lambda clips: column(clips, "audio", 2) ** 2 - 1,
}


def r2(truth: np.ndarray, predicted: np.ndarray) -> float:
    return 1 - np.square(truth - predicted).sum() / np.square(truth - truth.mean()).sum()


def skill(name: str, sizes: dict[str, int], parts: dict | None = None, count: int = 300) -> float:
    """Return the R² of a readout, taught by some clips, on others by other creators."""
    clips, luck, creators = corpus(0, count)
    new, other_luck, _ = corpus(1, 300)
    views, truth = luck + EFFECTS[name](clips), other_luck + EFFECTS[name](new)
    readout = SecondOrderReadout(sizes, parts)
    scaled = (views - views.mean()) / views.std()
    readout.fit(batch(clips, sizes), scaled, creators)
    return r2(truth, readout(batch(new, sizes)).numpy() * views.std() + views.mean())


@pytest.mark.parametrize("name", EFFECTS)
def test_a_readout_finds_what_moves_the_views_and_not_who_posts(name):
    assert skill(name, SIZES) > 0.7


def test_a_product_of_two_modalities_is_in_neither_of_them():
    for modality in ("visual", "audio"):
        assert skill("product", {modality: SIZES[modality]}) < 0.1


def test_a_modality_that_knows_nothing_costs_next_to_nothing():
    without = skill("linear", {"visual": 6, "text": 3})
    assert without - skill("linear", SIZES) < 0.02


def test_parts_are_weighed_apart():
    """One number in its own part is found among many that say nothing."""
    sizes = {"visual": 6}
    whole = skill("linear", sizes, count=60)
    assert skill("linear", sizes, {"visual": (1, 5)}, count=60) > whole - 0.02


def test_the_same_clips_give_the_same_readout():
    clips, views, creators = corpus(2, 60)
    first, second = SecondOrderReadout(SIZES), SecondOrderReadout(SIZES)
    for readout in (first, second):
        readout.fit(batch(clips), views / views.std(), creators)
    for name, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[name]), name


def test_a_readout_can_be_fitted_where_no_clip_has_sound():
    clips, views, creators = corpus(3, 40)
    silent = [
        ClipTokens(tokens={n: t for n, t in each.tokens.items() if n != "audio"}) for each in clips
    ]
    sizes = {**SIZES, "audio": 1}
    readout = SecondOrderReadout(sizes)
    readout.fit(batch(silent, sizes), views / views.std(), creators)
    assert all(torch.isfinite(value).all() for value in readout.state_dict().values())


def test_of_many_clips_a_few_weigh_the_kernels_and_all_teach_the_rest(monkeypatch):
    whole = skill("product", SIZES)
    largest = []
    weigh = evidence.weigh_kernels

    def counted(kernels, target, spread):
        largest.append(len(target))
        return weigh(kernels, target, spread)

    monkeypatch.setattr(evidence, "CLIPS_FOR_KERNELS", 200)
    monkeypatch.setattr(evidence, "weigh_kernels", counted)
    assert skill("product", SIZES) > whole - 0.1
    assert largest == [200]
