"""The published models: counted on the meta device at full size, run at a small one."""

from __future__ import annotations

import pytest
import torch

from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.paper import PublishedModel, published_shapes
from tiktok_virality.schema import ParameterError

SMALL = {"published_visual": (4, 16), "published_audio": (3, 8)}


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def batch(lengths: dict[str, int], clips: int = 2) -> TokenBatch:
    """Random tokens of `SMALL`; a table that is not named is lacking."""
    torch.manual_seed(1)
    tokens = {n: torch.randn(clips, lengths.get(n, 1), size) for n, (_, size) in SMALL.items()}
    padding = {
        n: torch.full((clips, value.shape[1]), n not in lengths) for n, value in tokens.items()
    }
    return TokenBatch(tokens, padding)


def small() -> PublishedModel:
    torch.manual_seed(0)
    return PublishedModel(SMALL).eval()


def test_the_published_ensemble_has_2_228_625_922_parameters_in_four_parts():
    with torch.device("meta"):
        model = PublishedModel(published_shapes(128, 72))
    assert count(model.transformers["published_visual"]) == 2_218_237_696
    assert count(model.transformers["published_audio"]) == 8_811_264
    assert count(model.head) == 263_169
    assert count(model.unused_head) == 1_313_793
    assert count(model) == 2_228_625_922


@pytest.mark.parametrize(("height", "width"), [(64, 36), (32, 18)])
def test_smaller_frames_make_a_model_for_two_cores(height, width):
    with torch.device("meta"):
        assert count(PublishedModel(published_shapes(height, width))) < 200_000_000


def test_tokens_that_eight_heads_cannot_share_are_refused():
    with pytest.raises(ParameterError, match=r"252 numbers.*visual.sampling.shrink"):
        PublishedModel(published_shapes(21, 12))


def test_tokens_are_filled_up_with_zeros_and_cut():
    visual = small().transformers["published_visual"]
    long = torch.randn(1, 6, 16)
    torch.testing.assert_close(visual(long), visual(long[:, :4]))
    filled = torch.cat([long[:, :2], torch.zeros(1, 2, 16)], dim=1)
    torch.testing.assert_close(visual(long[:, :2]), visual(filled))


def test_a_clip_without_a_table_is_decided_by_the_other_and_one_without_any_is_zero():
    model = small()
    tokens = batch({"published_visual": 4, "published_audio": 3})
    lacking = TokenBatch(
        tokens.tokens,
        {**tokens.padding, "published_audio": torch.tensor([[True] * 3, [False] * 3])},
    )
    both, one = model(tokens), model(lacking)
    assert both[0] != one[0]
    assert both[1] == one[1]
    nothing = model(batch({}))
    assert (nothing == 0).all()


def test_one_table_alone_has_no_unused_head():
    model = PublishedModel({"published_audio": (3, 8)})
    assert not hasattr(model, "unused_head")
    assert model.eval()(batch({"published_audio": 3})).shape == (2,)
