"""Names, units and base types that every room of the project shares."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final, Literal

from click import ClickException
from pydantic import BaseModel, ConfigDict, ValidationError

SAMPLE_RATE_HZ: Final = 16_000
"""Every waveform is mono at this rate: what Whisper and the voice detector expect."""

Split = Literal["train", "validation", "calibration", "test"]
SPLITS: Final[tuple[Split, ...]] = ("train", "validation", "calibration", "test")
"""Train teaches; validation stops training and chooses; calibration widens intervals and does
nothing else; test is read once."""

POST_OUTCOME_COLUMNS: Final = frozenset({"likes", "comments", "shares", "saves", "captured_at"})
"""Known only after posting, so never a feature."""


class Config(BaseModel):
    """Base of every parameter group: frozen, and strict about unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProjectError(Exception):
    """Base of the errors that a user can act upon; the message says how."""


class MediaError(ProjectError):
    """A clip cannot be read.

    Attributes:
        reason: A short, fixed phrase that tables count by, such as ``"unreadable"``.
        detail: What exactly was wrong with this file.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type[MediaError], tuple[str, str]]:
        """Survive the way back from a worker process: pickle replays both arguments."""
        return type(self), (self.reason, self.detail)


class ParameterError(ProjectError):
    """A parameter is unknown, missing or out of range."""


class ConfigurationError(ProjectError, ClickException):
    """The settings cannot be read; a command ends with the message alone."""


class BusyError(ProjectError, ClickException):
    """Another process is changing the same data; a command ends with the message alone."""


class DataError(ProjectError):
    """The user's input as a whole cannot be used: nothing found, or nothing left."""


class StageError(ProjectError):
    """A per-video stage stopped before its end; finished parts are kept."""


class DamageError(ProjectError):
    """What is stored is not what was written; it is set aside, and the next run makes it again."""


class StorageError(ProjectError, ClickException):
    """A bucket is missing or refuses; a command ends with the message alone."""


class TrainingError(ProjectError):
    """A training stopped before its end; its checkpoints are kept."""


class WeightsError(ProjectError):
    """Model weights are missing, or are not the file that they should be."""


def faults_in_words(error: ValidationError) -> str:
    """Return what is wrong, key by key, without the values: some are secret."""
    return "; ".join(
        f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()
    )


def digest(value: Any) -> str:
    """Return the SHA-256 hex digest of a JSON-able value in canonical form."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()
