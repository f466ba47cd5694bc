"""Torchvision can be imported beside any build of torch, and stays away until it is."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.strip()


@pytest.mark.parametrize("library", ["torchvision.ops", "timm", "torchmetrics", "lightning"])
def test_what_imports_torchvision_can_be_imported_after_the_package(library):
    run("import importlib.util as u, sys; sys.exit(not u.find_spec('torchvision'))")
    assert run(f"import tiktok_virality, {library}; print('fine')") == "fine"


def test_importing_the_package_imports_no_torch():
    assert run("import tiktok_virality, sys; print('torch' in sys.modules)") == "False"


def test_asking_whether_torchvision_is_there_loads_nothing():
    code = "import tiktok_virality, importlib.util as u, sys; u.find_spec('torchvision');"
    assert run(code + "print('torch' in sys.modules)") == "False"
