"""A trained model as plain data: what it is, its weights, and how its training went."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tiktok_virality.modalities import EVERYTHING, PUBLISHED
from tiktok_virality.models.configs import ConvLSTMConfig, TransformerConfig
from tiktok_virality.schema import Config, digest

if TYPE_CHECKING:
    from torch import Tensor, nn

WEIGHTS_NAME = "weights.safetensors"
DESCRIPTION_NAME = "model.json"

ModelKind = Literal["autoencoder", "modality", "late_fusion", "early_fusion", "published"]
"""``modality`` reads one of them, the fusions all; ``published`` reads one or both of its own."""


class ModelSpec(Config):
    """What to build.

    Attributes:
        kind: Which architecture.
        convlstm: Shape of the autoencoder, for that kind.
        transformer: Shape of the Transformers, for the others.
        token_sizes: Size of a token by each modality that it reads, for the others.
        token_parts: How many numbers of a token belong together, where it is made of parts.
        token_counts: How many tokens of each a clip has, for the published kind.
    """

    kind: ModelKind
    convlstm: ConvLSTMConfig | None = None
    transformer: TransformerConfig | None = None
    token_sizes: dict[str, int] = Field(default_factory=dict)
    token_parts: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    token_counts: dict[str, int] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the leaderboard and MLflow call it."""
        if self.kind in ("modality", "published"):
            return self.modality
        return "ensemble" if self.kind == "late_fusion" else self.kind

    @property
    def modality(self) -> str:
        """What it knows of a clip: the name of a modality, or all that take part."""
        if self.kind == "modality" or (self.kind == "published" and len(self.token_sizes) == 1):
            return next(iter(self.token_sizes))
        return PUBLISHED if self.kind == "published" else EVERYTHING

    def build(self) -> nn.Module:
        """Return the model with fresh weights."""
        from tiktok_virality.models import convlstm, readout

        if self.kind == "autoencoder":
            return convlstm.ConvLSTMAutoencoder(self.convlstm or ConvLSTMConfig())
        deep = self.build_deep()
        if not self.shape.readout or self.kind == "published":
            return deep
        return readout.Blended(
            deep,
            *(readout.SecondOrderReadout(self.token_sizes, self.token_parts) for _ in range(2)),
        )

    @property
    def shape(self) -> TransformerConfig:
        """Shape of the Transformers."""
        return self.transformer or TransformerConfig()

    def build_deep(self) -> nn.Module:
        """Return the part of a predictor that gradients train, with fresh weights."""
        from tiktok_virality.models import fusion, paper

        shape = self.shape
        if self.kind == "published":
            sizes = {name: (self.token_counts[name], n) for name, n in self.token_sizes.items()}
            return paper.build_published(sizes, shape)
        if self.kind == "late_fusion":
            return fusion.LateFusion(self.token_sizes, shape)
        if self.kind == "early_fusion":
            return fusion.EarlyFusion(self.token_sizes, shape)
        return fusion.SingleModality(self.modality, self.token_sizes[self.modality], shape)


@dataclass(frozen=True, kw_only=True)
class TargetScale:
    """Mean and deviation of log1p(views) over the training split."""

    mean: float
    deviation: float


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model after training.

    Attributes:
        spec: What it is.
        state: Weights and buffers by name, on the CPU.
        history: One row per epoch: ``epoch``, ``train_loss``, ``validation_loss``, ``seconds``.
        target: Scale of what it predicts; ``None`` for the autoencoder.
    """

    spec: ModelSpec
    state: dict[str, Tensor]
    history: list[dict[str, float]] = field(default_factory=list)
    target: TargetScale | None = None

    @property
    def name(self) -> str:
        """What the leaderboard and MLflow call it."""
        return self.spec.name

    @property
    def modality(self) -> str:
        """What it knows of a clip."""
        return self.spec.modality

    @cached_property
    def module(self) -> nn.Module:
        """The torch module, built once, to be asked; what trains takes one of its own."""
        return self.build()

    def build(self) -> nn.Module:
        """Return the torch module with these weights, ready to evaluate."""
        module = self.spec.build()
        module.load_state_dict(self.state)
        return module.eval()

    @property
    def parameter_count(self) -> int:
        """Number of trained weights; buffers and a rehearsal do not count."""
        weights = self.spec.build().named_parameters()
        return sum(p.numel() for name, p in weights if not name.startswith("rehearsal."))

    @property
    def digest(self) -> str:
        """Digest of architecture and weights: another one means other results."""
        import hashlib

        weights = hashlib.sha256()
        for name, tensor in sorted(self.state.items()):
            weights.update(name.encode())
            weights.update(tensor.contiguous().numpy().tobytes())
        return digest([self.spec.model_dump(mode="json"), weights.hexdigest()])

    def description(self) -> dict[str, Any]:
        """Return what people compare models by."""
        return {
            "parameter_count": self.parameter_count,
            "epochs": len(self.history),
            **self.spec.model_dump(mode="json", exclude_none=True),
        }


def save_trained(model: TrainedModel, folder: Path) -> None:
    """Write weights as safetensors and the rest as JSON; the JSON last, as the sign of a whole."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / DESCRIPTION_NAME).unlink(missing_ok=True)
    save_file({k: v.contiguous() for k, v in model.state.items()}, folder / WEIGHTS_NAME)
    description = {
        "spec": model.spec.model_dump(mode="json"),
        "history": model.history,
        "target": None if model.target is None else vars(model.target),
    }
    (folder / DESCRIPTION_NAME).write_text(json.dumps(description, indent=1))


def load_trained(folder: Path) -> TrainedModel:
    """Read what `save_trained` wrote.

    Raises:
        FileNotFoundError: The folder holds no whole model.
    """
    from safetensors.torch import load_file

    description = json.loads((folder / DESCRIPTION_NAME).read_text())
    target = description["target"]
    return TrainedModel(
        spec=ModelSpec.model_validate(description["spec"]),
        state=load_file(folder / WEIGHTS_NAME),
        history=description["history"],
        target=None if target is None else TargetScale(**target),
    )
