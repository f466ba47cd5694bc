"""Every parameter of a run, checked before any work: a wrong key or value stops here, by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final, Literal

from pydantic import Field, ValidationError, create_model, field_validator

from tiktok_virality.collection.config import CollectionParameters
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.evaluation.config import (
    CertaintyParameters,
    EvaluationParameters,
    ReportingParameters,
)
from tiktok_virality.execution import Shard
from tiktok_virality.media.limits import IngestionParameters
from tiktok_virality.modalities import MODALITIES
from tiktok_virality.schema import Config, ParameterError
from tiktok_virality.training.parameters import (
    LotteryParameters,
    ModelingParameters,
    StudyParameters,
    TuningParameters,
)
from tiktok_virality.training.published import PublishedParameters

MOVED: Final = {"audio.waveforms": "ingestion.waveforms"}
"""Parameters of earlier versions, and where they are."""


class Parameters(Config):
    """What `conf/*/parameters*.yml` may say, besides one block for each modality.

    Attributes:
        seed: Of every random choice.
        device: ``auto`` takes a GPU when there is one.
        modalities: Those that take part, by name; ``all`` for every one that there is. Written as
            one word for a command line, which cannot hold a list: ``visual+audio``.
        shard: Which part of the videos a run does, as ``3/64`` for the third of 64; stages alone,
            for what needs the whole corpus is left to a run without.
    """

    seed: int = Field(ge=0)
    device: Literal["auto", "cpu", "cuda"]
    modalities: tuple[str, ...] = Field(default=tuple(MODALITIES), min_length=1)
    shard: str | None = None
    collection: CollectionParameters
    demo: DemoParameters
    ingestion: IngestionParameters
    evaluation: EvaluationParameters = EvaluationParameters()
    modeling: ModelingParameters
    published: PublishedParameters = PublishedParameters()
    certainty: CertaintyParameters
    reporting: ReportingParameters
    tuning: TuningParameters
    study: StudyParameters
    lottery: LotteryParameters = LotteryParameters()

    @field_validator("shard")
    @classmethod
    def _check_shard(cls, text: str | None) -> str | None:
        return None if text is None else str(Shard.parse(text))

    @field_validator("modalities", mode="before")
    @classmethod
    def _every_modality(cls, names: Any) -> Any:
        if names == "all":
            return tuple(MODALITIES)
        return names.split("+") if isinstance(names, str) else names

    @field_validator("modalities")
    @classmethod
    def _check_modalities(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in names if name not in MODALITIES]
        if unknown:
            raise ValueError(f"there is no modality {unknown}, only {', '.join(MODALITIES)}")
        if len(set(names)) < len(names):
            raise ValueError("a modality is named twice")
        return tuple(name for name in MODALITIES if name in names)


def parameter_tree() -> type[Parameters]:
    """Return `Parameters` with the block of every modality; one that is left out has defaults."""
    blocks: dict[str, Any] = {}
    for name, modality in MODALITIES.items():
        module, _, kind = modality.parameters.partition(":")
        blocks[name] = (getattr(import_module(module), kind), Field(default_factory=dict))
    return create_model("Parameters", __base__=Parameters, **blocks)


def check_parameters(raw: Mapping[str, Any]) -> Parameters:
    """Return the parameters as typed groups.

    Raises:
        ParameterError: A key is unknown or missing, or a value is out of range; every fault is
            named with its full key.
    """
    try:
        return parameter_tree().model_validate(dict(raw))
    except ValidationError as error:
        faults = "\n".join(_describe(fault) for fault in error.errors())
        raise ParameterError(f"Wrong parameters in conf/ or --params:\n{faults}") from None


def _describe(fault: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        now = f"; it is {MOVED[key]} now" if key in MOVED else ""
        return f"  {key}: there is no such parameter{now} (given: {fault['input']!r})"
    return f"  {key}: {fault['msg']} (given: {fault['input']!r})"
