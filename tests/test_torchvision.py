"""Torchvision can be imported beside any build of torch, and stays away until it is."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest


def run(code: str) -> str:
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


@pytest.mark.parametrize("library", ["torchvision.ops", "lightning"])
def test_what_imports_torchvision_can_be_imported_after_the_package(library):
    """Lightning does it by way of torchmetrics, and timm comes last."""
    assert find_spec("torchvision")
    assert run(f"import tiktok_virality, {library}, timm; print('fine')") == "fine"


def test_importing_the_package_and_asking_whether_torchvision_is_there_loads_nothing():
    code = "import tiktok_virality, importlib.util as u, sys; u.find_spec('torchvision');"
    assert run(code + "print('torch' in sys.modules)") == "False"
