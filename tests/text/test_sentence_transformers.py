"""Other encoders of text: any model that sentence-transformers has saved."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tiktok_virality.models.text_configs import TextParameters
from tiktok_virality.models.text_encoder import find_text_checkpoint, load_text_encoder
from tiktok_virality.stages.text import FIELDS, WRITING, TextReader

pytest.importorskip("sentence_transformers", reason="extra `sentences` is not installed")

WIDTH = 24


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a tiny model as sentence-transformers does, with weights that nobody trained."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("model")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "on", "sofa"]
    (folder / "vocab.txt").write_text("\n".join(words))
    layers = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    network = BertModel(BertConfig(vocab_size=len(words), hidden_size=WIDTH, **layers))
    network.save_pretrained(folder / "bert")
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    modules = [Transformer(str(folder / "bert")), Pooling(WIDTH)]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "saved"))
    return folder / "saved"


def parameters(folder: Path) -> TextParameters:
    return TextParameters(library="sentence_transformers", model=str(folder))


def test_a_saved_model_takes_the_place_of_the_packaged_one(saved):
    chosen = parameters(saved)
    encode = load_text_encoder(chosen, find_text_checkpoint(chosen))
    first = encode("cat on sofa")
    assert first.shape == (WIDTH,)
    assert np.linalg.norm(first) == pytest.approx(1, abs=1e-5)
    assert not np.allclose(first, encode("dog"))
    np.testing.assert_array_equal(encode("cat on sofa"), first)


def test_its_tokens_have_a_block_for_each_field(saved):
    reader = TextReader(parameters(saved), find_text_checkpoint(parameters(saved)))
    reader.setup()
    columns = reader._embed({**dict.fromkeys(FIELDS, ""), "caption": "cat"})
    assert columns["tokens"].shape == (1, len(FIELDS) * (WIDTH + len(WRITING)))


def test_the_same_files_elsewhere_are_the_same_weights_and_others_are_not(saved, tmp_path):
    def found(folder: Path) -> str:
        return find_text_checkpoint(parameters(folder)).digest

    copy = shutil.copytree(saved, tmp_path / "copy")
    (copy / "README.md").write_text("another word about it")
    assert found(copy) == found(saved)
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert found(copy) != found(saved)
