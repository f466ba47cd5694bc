"""Honest clips, and a trap beside the folder of the hostile ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.seeds import make_seeds
from tests.hostile.trap import Trap, set_trap
from tests.ingestion.conftest import Corpus


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return make_seeds(tmp_path_factory.mktemp("seeds"))


@pytest.fixture
def trap(tmp_path: Path, seeds: dict[str, bytes]) -> Iterator[Trap]:
    with set_trap(tmp_path / "secrets", seeds["h264_sound.mp4"]) as ready:
        yield ready


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """A folder for posts and for files that nobody opens."""
    (tmp_path / "01_raw" / "videos").mkdir(parents=True)
    return Corpus(folder=tmp_path / "01_raw", shelf=tmp_path)
