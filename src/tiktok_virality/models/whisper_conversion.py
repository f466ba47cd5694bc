"""From Whisper weights as CTranslate2 stores them to a checkpoint that openai-whisper loads.

No value changes: what is float16 there is the same float16 here. The layout of the source file is
that of version 6 of CTranslate2's binary models.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tiktok_virality.schema import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

BINARY_VERSION: Final = 6
SPEC_NAME: Final = "WhisperSpec"
DTYPES: Final = {0: "<f4", 1: "i1", 2: "<i2", 3: "<i4", 4: "<f2"}

Variables = dict[str, np.ndarray]


@dataclass
class _Cursor:
    """A place in the file; every read moves it on."""

    content: memoryview
    position: int = 0

    def take(self, size_bytes: int) -> memoryview:
        start, self.position = self.position, self.position + size_bytes
        return self.content[start : self.position]

    def unsigned(self, code: str) -> int:
        (value,) = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))
        return int(value)

    def string(self) -> str:
        return bytes(self.take(self.unsigned("H"))).rstrip(b"\0").decode()

    def variable(self) -> tuple[str, np.ndarray]:
        name = self.string()
        shape = [self.unsigned("I") for _ in range(self.unsigned("B"))]
        dtype = DTYPES[self.unsigned("B")]
        return name, np.frombuffer(self.take(self.unsigned("I")), dtype).reshape(shape)


def read_ctranslate2(content: bytes) -> Variables:
    """Return the variables of a CTranslate2 Whisper model, by name, as views on its bytes.

    Raises:
        WeightsError: The file holds another kind of model, or another version of the layout.
    """
    cursor = _Cursor(memoryview(content))
    version, spec = cursor.unsigned("I"), cursor.string()
    if (version, spec) != (BINARY_VERSION, SPEC_NAME):
        raise WeightsError(
            f"These weights are {spec!r} in version {version} of CTranslate2's layout; expected "
            f"{SPEC_NAME!r} in version {BINARY_VERSION}."
        )
    cursor.unsigned("I")  # revision of the specification
    return dict(cursor.variable() for _ in range(cursor.unsigned("I")))


def to_checkpoint(variables: Variables) -> dict[str, Any]:
    """Return ``{"dims": ..., "model_state_dict": ...}`` as `whisper.load_model` reads it."""
    state = {**_encoder(variables), **_decoder(variables)}
    return {"dims": _dimensions(variables), "model_state_dict": _tensors(state)}


def _tensors(state: Variables) -> dict[str, Tensor]:
    import torch

    return {name: torch.from_numpy(values.copy()) for name, values in state.items()}


def _dimensions(variables: Variables) -> dict[str, int]:
    n_vocab, n_text_state = variables["decoder/embeddings/weight"].shape
    n_audio_state, n_mels, _ = variables["encoder/conv1/weight"].shape
    return {
        "n_mels": n_mels,
        "n_audio_ctx": len(variables["encoder/position_encodings/encodings"]),
        "n_audio_state": n_audio_state,
        "n_audio_head": int(variables["encoder/num_heads"]),
        "n_audio_layer": _layers(variables, "encoder"),
        "n_vocab": n_vocab,
        "n_text_ctx": len(variables["decoder/position_encodings/encodings"]),
        "n_text_state": n_text_state,
        "n_text_head": int(variables["decoder/num_heads"]),
        "n_text_layer": _layers(variables, "decoder"),
    }


def _layers(variables: Variables, half: str) -> int:
    return len(
        {name.split("/")[1] for name in variables if name.startswith(f"{half}/layer_")}
        - {"layer_norm"}
    )


def _encoder(variables: Variables) -> Variables:
    state = {
        "encoder.positional_embedding": variables["encoder/position_encodings/encodings"],
        **_affine(variables, "encoder/conv1", "encoder.conv1"),
        **_affine(variables, "encoder/conv2", "encoder.conv2"),
        **_norm(variables, "encoder/layer_norm", "encoder.ln_post"),
    }
    for layer in range(_layers(variables, "encoder")):
        state |= _block(variables, f"encoder/layer_{layer}", f"encoder.blocks.{layer}")
    return state


def _decoder(variables: Variables) -> Variables:
    state = {
        "decoder.token_embedding.weight": variables["decoder/embeddings/weight"],
        "decoder.positional_embedding": variables["decoder/position_encodings/encodings"],
        **_norm(variables, "decoder/layer_norm", "decoder.ln"),
    }
    for layer in range(_layers(variables, "decoder")):
        source, target = f"decoder/layer_{layer}", f"decoder.blocks.{layer}"
        state |= _block(variables, source, target)
        state |= _cross_attention(variables, f"{source}/attention", f"{target}.cross_attn")
    return state


def _block(variables: Variables, source: str, target: str) -> Variables:
    """Self-attention and MLP of a layer, each with the norm before it."""
    attention = f"{source}/self_attention"
    return {
        **_norm(variables, f"{attention}/layer_norm", f"{target}.attn_ln"),
        **_stacked(variables, f"{attention}/linear_0", f"{target}.attn", ("query", "key", "value")),
        **_affine(variables, f"{attention}/linear_1", f"{target}.attn.out"),
        **_norm(variables, f"{source}/ffn/layer_norm", f"{target}.mlp_ln"),
        **_affine(variables, f"{source}/ffn/linear_0", f"{target}.mlp.0"),
        **_affine(variables, f"{source}/ffn/linear_1", f"{target}.mlp.2"),
    }


def _cross_attention(variables: Variables, source: str, target: str) -> Variables:
    return {
        **_norm(variables, f"{source}/layer_norm", f"{target}_ln"),
        **_affine(variables, f"{source}/linear_0", f"{target}.query"),
        **_stacked(variables, f"{source}/linear_1", target, ("key", "value")),
        **_affine(variables, f"{source}/linear_2", f"{target}.out"),
    }


def _stacked(variables: Variables, source: str, target: str, names: tuple[str, ...]) -> Variables:
    """Projections stored as one; openai-whisper has no bias on keys, where this one is zero."""
    state: Variables = {}
    for part in ("weight", "bias"):
        values = np.split(variables[f"{source}/{part}"], len(names))
        state |= {f"{target}.{name}.{part}": v for name, v in zip(names, values, strict=True)}
    if state.pop(f"{target}.key.bias").any():
        raise WeightsError(f"{source} has a bias on its keys; openai-whisper has no room for one.")
    return state


def _affine(variables: Variables, source: str, target: str) -> Variables:
    return {f"{target}.{part}": variables[f"{source}/{part}"] for part in ("weight", "bias")}


def _norm(variables: Variables, source: str, target: str) -> Variables:
    return {
        f"{target}.weight": variables[f"{source}/gamma"],
        f"{target}.bias": variables[f"{source}/beta"],
    }
