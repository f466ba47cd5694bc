"""Fixtures that every room's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_clips() -> Path:
    """The folder of real clips beside the checkout; tests that need it skip where it is absent."""
    folder = ROOT.parent / "shared" / "clips"
    if not (folder / "clips.csv").exists():
        pytest.skip(f"no real clips at {folder}")
    return folder
