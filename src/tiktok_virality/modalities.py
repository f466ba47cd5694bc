"""The modalities: what of a clip the models are told, each as a table of tokens of its own.

A modality is a name, a table of tokens (the column ``tokens``, [T, D], of the stage
``<name>_embeddings``), and how they are made: the pipeline ``pipelines.<name>``. Nothing behind
these tables names one; `docs/modalities.md` says how to add another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

EVERYTHING: Final = "all"
"""What a model knows that is shown every modality that takes part."""


@dataclass(frozen=True, kw_only=True)
class Modality:
    """One line of wiring.

    Attributes:
        words: What it tells of a clip, in words that people read.
        parameters: Where the class of its block of parameters is: ``module:Class``.
        needs: Other modalities whose pipeline makes what this one reads.
        models: Models that are trained on the way to its tokens, and belong into the report.
        exhibits: What else of it belongs into the report.
        altered: Whether its pipeline embeds altered clips, ``<name>_unlike_clips``, on which the
            flag for unlike clips is tried.
        explained_by: Module of a pipeline that says what its parts do to the answer about a clip;
            see `pipelines.scoring.pipeline.PARTS`.
    """

    words: str
    parameters: str
    needs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    exhibits: tuple[str, ...] = ()
    altered: bool = False
    explained_by: str | None = None


MODALITIES: Final[Mapping[str, Modality]] = {
    "visual": Modality(
        words="the course of the picture",
        parameters="tiktok_virality.training.parameters:VisualParameters",
        models=("autoencoder",),
        exhibits=("reconstructions",),
        altered=True,
    ),
    "image": Modality(
        words="what the picture shows",
        parameters="tiktok_virality.models.image_configs:ImageParameters",
    ),
    "motion": Modality(
        words="movement and cuts",
        parameters="tiktok_virality.models.motion_configs:MotionParameters",
    ),
    "audio": Modality(
        words="voice", parameters="tiktok_virality.models.whisper_configs:AudioParameters"
    ),
    "sound": Modality(
        words="loudness, timbre and music",
        parameters="tiktok_virality.models.sound_configs:SoundParameters",
    ),
    "text": Modality(
        words="what is said and written",
        parameters="tiktok_virality.models.text_configs:TextParameters",
        needs=("audio",),
        explained_by="tiktok_virality.pipelines.text.explaining",
    ),
}
"""Those that there are, in the order in which tables and figures show them."""

PUBLISHED: Final = "published"
"""The published ensemble, and its part of the parameters."""

PUBLISHED_TABLES: Final[Mapping[str, str]] = {
    "published_visual": "the last state of the picture",
    "published_audio": "the mean states of the voice",
}
"""What the published models read, in words: tables of tokens as those of modalities are, which
nothing else reads; they are made where ``published.take_part`` asks for them."""


LOADED_BESIDE: Final = ("numpy", "pyarrow", "torch", "whisper", "silero_vad", "librosa")
"""Libraries of the stages that run beside the driver where a few clips are scored: those of sound,
which have nothing to do with the picture. They are about half of what there is to load."""


def with_needs(names: Sequence[str]) -> tuple[str, ...]:
    """Return the modalities whose pipelines must run so that these can be read."""
    wanted = [*names, *(need for name in names for need in with_needs(MODALITIES[name].needs))]
    return tuple(name for name in MODALITIES if name in wanted)
