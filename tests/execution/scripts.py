"""Python in a process of its own, that tests may kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.conftest import ROOT


def start_python(*arguments: str) -> subprocess.Popen[str]:
    """Start Python at the root of the checkout, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_interrupts,
    )


def _hear_interrupts() -> None:
    """Undo what a shell does to jobs in the background, whose children would ignore Ctrl-C, too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
