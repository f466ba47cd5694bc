"""Every parameter of a run, checked before any work: a wrong key or value stops here, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError

from tiktok_virality.collection.config import CollectionParameters
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.evaluation.config import CertaintyParameters, ReportingParameters
from tiktok_virality.media.limits import IngestionParameters
from tiktok_virality.models.image_configs import ImageParameters
from tiktok_virality.models.whisper_configs import AudioParameters
from tiktok_virality.schema import Config, ParameterError
from tiktok_virality.training.parameters import (
    ModelingParameters,
    StudyParameters,
    TuningParameters,
    VisualParameters,
)


class Parameters(Config):
    """What `conf/*/parameters*.yml` may say.

    Attributes:
        seed: Of every random choice.
        device: ``auto`` takes a GPU when there is one.
    """

    seed: int = Field(ge=0)
    device: Literal["auto", "cpu", "cuda"]
    collection: CollectionParameters
    demo: DemoParameters
    ingestion: IngestionParameters
    audio: AudioParameters
    visual: VisualParameters
    image: ImageParameters
    modeling: ModelingParameters
    certainty: CertaintyParameters
    reporting: ReportingParameters
    tuning: TuningParameters
    study: StudyParameters


def check_parameters(raw: Mapping[str, Any]) -> Parameters:
    """Return the parameters as typed groups.

    Raises:
        ParameterError: A key is unknown or missing, or a value is out of range; every fault is
            named with its full key.
    """
    try:
        return Parameters.model_validate(dict(raw))
    except ValidationError as error:
        faults = "\n".join(_describe(fault) for fault in error.errors())
        raise ParameterError(f"Wrong parameters in conf/ or --params:\n{faults}") from None


def _describe(fault: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        return f"  {key}: there is no such parameter (given: {fault['input']!r})"
    return f"  {key}: {fault['msg']} (given: {fault['input']!r})"
