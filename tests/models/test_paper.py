"""The published models: their size, what they read, and clips that lack a part."""

from __future__ import annotations

import pytest
import torch

from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.paper import PublishedEnsemble
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.training.published import PublishedParameters

SMALL = TransformerConfig(width=8, layers=1, heads=2, feedforward=8, dropout=0.0, readout=False)
COUNTS = {"published_visual": 64, "published_audio": 7}


def spec(pixels: int, *tables: str, config: TransformerConfig | None = None) -> ModelSpec:
    sizes = {"published_visual": pixels, "published_audio": 512}
    return ModelSpec(
        kind="published",
        transformer=config or PublishedParameters().transformer,
        token_sizes={name: sizes[name] for name in tables or sizes},
        token_counts=COUNTS,
    )


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def batch(clips: int, pixels: int, **lacking: list[int]) -> TokenBatch:
    torch.manual_seed(1)
    sizes = {"published_visual": (64, pixels), "published_audio": (7, 512)}
    tokens = {name: torch.randn(clips, *shape) for name, shape in sizes.items()}
    padding = {
        name: torch.zeros(clips, shape[0], dtype=torch.bool) for name, shape in sizes.items()
    }
    for name, rows in lacking.items():
        tokens[name][rows] = 0
        padding[name][rows] = True
    return TokenBatch(tokens, padding)


def test_the_published_ensemble_has_2_228_625_922_parameters_in_four_parts():
    with torch.device("meta"):
        model = spec(128 * 72).build()
    assert isinstance(model, PublishedEnsemble)
    assert count(model.visual) == 2_218_237_696
    assert count(model.audio) == 8_811_264
    assert count(model.head) == 263_169
    assert count(model.unused_head) == 1_313_793
    assert count(model) == 2_228_625_922


@pytest.mark.parametrize(("pixels", "expected"), [(64 * 36, 182_743_042), (32 * 18, 29_590_402)])
def test_smaller_frames_make_it_small(pixels, expected):
    with torch.device("meta"):
        assert count(spec(pixels).build()) == expected


def test_names_say_which_tables_are_read():
    assert spec(576).name == spec(576).modality == "published"
    assert spec(576, "published_audio").name == "published_audio"
    assert spec(576, "published_audio").modality == "published_audio"


def test_a_clip_that_lacks_a_part_is_predicted_from_the_other():
    torch.manual_seed(0)
    model = spec(16, config=SMALL).build().eval()
    there, without = (model(batch(3, 16, **lacking)) for lacking in ({}, {"published_audio": [1]}))
    assert not torch.isclose(there[1], without[1])
    torch.testing.assert_close(there[[0, 2]], without[[0, 2]])
    everything = {"published_audio": [1], "published_visual": [1]}
    assert model(batch(3, 16, **everything))[1] == 0


def test_a_batch_without_any_sound_is_predicted_as_each_of_its_clips_is():
    torch.manual_seed(0)
    model = spec(16, config=SMALL).build().eval()
    silent = batch(2, 16, published_audio=[0, 1])
    short = TokenBatch(
        {**silent.tokens, "published_audio": torch.zeros(2, 1, 512)},
        {**silent.padding, "published_audio": torch.ones(2, 1, dtype=torch.bool)},
    )
    torch.testing.assert_close(model(short), model(silent))


def test_attention_is_between_tokens_and_their_order_counts():
    torch.manual_seed(0)
    model = spec(16, "published_visual", config=SMALL).build().eval()
    clip = batch(1, 16)
    turned = TokenBatch(
        {**clip.tokens, "published_visual": clip.tokens["published_visual"].flip(1)}, clip.padding
    )
    assert not torch.isclose(model(clip), model(turned))


def test_heads_that_do_not_divide_a_token_are_refused_with_the_parameter():
    with pytest.raises(ValueError, match=r"published\.transformer\.heads=2 must divide .* 15"):
        spec(15, config=SMALL).build()
