"""Frozen image networks of timm and open_clip behind one face: levels of features of a picture."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, NamedTuple

from tiktok_virality.models.image_configs import ImageParameters
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.schema import ParameterError, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SIDE = 32
"""A convolutional network halves a picture five times."""


class Features(NamedTuple):
    """What a network makes of pictures.

    Attributes:
        levels: Features of its stages, each [B, C, H, W], from the input on.
        final: What its head would see, [B, C].
    """

    levels: list[Tensor]
    final: Tensor


@dataclass(frozen=True, kw_only=True)
class Input:
    """What a network expects of its input.

    Attributes:
        mean: Of each channel.
        std: Of each channel.
        fixed: Its only (height, width); ``None`` where any will do.
        side: Square root of the area that a picture is scaled to where any size will do.
    """

    mean: Sequence[float]
    std: Sequence[float]
    fixed: tuple[int, int] | None
    side: int

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) at which a picture of this size is seen."""
        if self.fixed is not None:
            return self.fixed
        scale = self.side / sqrt(height * width)
        return max(LEAST_SIDE, round(height * scale)), max(LEAST_SIDE, round(width * scale))

    def normalise(self, pictures: Tensor) -> Tensor:
        """Return pictures in [0, 1], [B, 3, H, W], as the network was trained on them."""
        mean = pictures.new_tensor(self.mean)[:, None, None]
        std = pictures.new_tensor(self.std)[:, None, None]
        return (pictures - mean) / std


@dataclass(frozen=True, kw_only=True)
class ImageNetwork(ABC):
    """A frozen network in evaluation mode.

    Attributes:
        module: The network.
        input: What it expects.
        blocks: Which of its stages or blocks are described; ``None`` takes all.
    """

    module: Any
    input: Input
    blocks: list[int] | None

    @abstractmethod
    def features(self, pictures: Tensor) -> Features:
        """Return features of RGB pictures in [0, 1], [B, 3, H, W] of a size that `input` gives."""


class TimmNetwork(ImageNetwork):
    """A network of timm."""

    def features(self, pictures: Tensor) -> Features:
        """Return features of RGB pictures in [0, 1], [B, 3, H, W]."""
        normal = self.input.normalise(pictures)
        last, levels = self.module.forward_intermediates(normal, indices=self.blocks)
        return Features(levels=levels, final=self.module.forward_head(last, pre_logits=True))


class OpenClipNetwork(ImageNetwork):
    """The image tower of an open_clip network; its final features are those beside text."""

    def features(self, pictures: Tensor) -> Features:
        """Return features of RGB pictures in [0, 1], [B, 3, H, W]."""
        normal = self.input.normalise(pictures)
        made = self.module.forward_intermediates(normal, indices=self.blocks)
        return Features(levels=made["image_intermediates"], final=made["image_features"])


def load_image_network(parameters: ImageParameters, checkpoint: Checkpoint) -> ImageNetwork:
    """Build a network, load its weights and freeze it.

    Raises:
        ParameterError: The library knows no such network, or the network shows no stages.
        WeightsError: The checkpoint is of another network.
    """
    build = {"timm": _load_timm, "open_clip": _load_open_clip}[parameters.library]
    network = build(parameters, checkpoint)
    if not hasattr(network.module, "forward_intermediates"):
        raise ParameterError(
            f"image.model: {parameters.model!r} does not show its stages (it has no "
            "forward_intermediates); most networks of timm do."
        )
    network.module.eval().requires_grad_(requires_grad=False)
    return network


def _load_timm(parameters: ImageParameters, checkpoint: Checkpoint) -> ImageNetwork:
    import timm
    import timm.data as timm_data

    if not timm.is_model(parameters.model):
        raise ParameterError(
            f"image.model: timm knows no {parameters.model!r}; timm.list_models() names all."
        )
    module: Any = timm.create_model(parameters.model, pretrained=False)
    _fill(module, parameters, checkpoint)
    libraries_data: Any = timm_data
    expected = libraries_data.resolve_model_data_config(module)
    height, width = expected["input_size"][1:]
    fixed = (height, width) if module.pretrained_cfg.get("fixed_input_size") else None
    return TimmNetwork(
        module=module,
        input=Input(mean=expected["mean"], std=expected["std"], fixed=fixed, side=parameters.side),
        blocks=_spread(module, parameters.transformer_blocks),
    )


def _fill(module: Any, parameters: ImageParameters, checkpoint: Checkpoint) -> None:
    """Load weights into a network of timm, whichever of two ways they are named."""
    from timm.models import load_state_dict

    from tiktok_virality.models.image_weights import timm_names

    try:
        state = load_state_dict(str(checkpoint.path), weights_only=True)  # no pickle
        if "_conv_stem.weight" in state:
            state = timm_names(state)
        module.load_state_dict(state)
    except Exception as error:
        raise _other_network(parameters, checkpoint, error) from error


def _load_open_clip(parameters: ImageParameters, checkpoint: Checkpoint) -> ImageNetwork:
    import open_clip

    from tiktok_virality.models.image_weights import split_tag

    name, tag = split_tag(parameters.model)
    if name not in open_clip.list_models():
        raise ParameterError(
            f"image.model: open_clip knows no {name!r}; open_clip.list_models() names all."
        )
    quick = {"force_quick_gelu": True} if _wants_quick_gelu(name, tag) else {}
    try:
        whole: Any = open_clip.create_model(
            name, pretrained=str(checkpoint.path), weights_only=True, **quick
        )
    except (RuntimeError, UnpicklingError) as error:
        raise _other_network(parameters, checkpoint, error) from error
    tower = whole.visual
    expected = tower.preprocess_cfg
    size = expected["size"]
    fixed = (size, size) if isinstance(size, int) else (size[0], size[1])
    return OpenClipNetwork(
        module=tower,
        input=Input(mean=expected["mean"], std=expected["std"], fixed=fixed, side=parameters.side),
        blocks=_spread(tower, parameters.transformer_blocks),
    )


def _wants_quick_gelu(name: str, tag: str | None) -> bool:
    """Return whether published weights were trained with another activation than the default."""
    import open_clip

    published = open_clip.get_pretrained_cfg(name, tag) if tag is not None else {}
    return bool(published.get("quick_gelu"))


def _spread(module: Any, count: int) -> list[int] | None:
    """Return ``count`` blocks of a transformer, evenly spread to its last; ``None``: it is none."""
    trunk = getattr(module, "trunk", module)
    blocks = getattr(getattr(trunk, "transformer", trunk), "resblocks", None)
    if blocks is None and hasattr(trunk, "patch_embed"):
        blocks = getattr(trunk, "blocks", None)
    if blocks is None:
        return None
    depth = len(blocks)
    return sorted({round((step + 1) * depth / count) - 1 for step in range(min(count, depth))})


def _other_network(
    parameters: ImageParameters, checkpoint: Checkpoint, error: Exception
) -> WeightsError:
    return WeightsError(
        f"{checkpoint.path} holds no weights of {parameters.library} {parameters.model!r}: {error}."
        " Set image.model to the network that was trained, or image.weights to a checkpoint of it."
    )
