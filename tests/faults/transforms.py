"""A transform whose items do to their worker what hostile clips and broken decoders do."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiktok_virality.execution import Outcome, StageItem, outcome_of

HOARD_BYTES = 400_000_000


@dataclass
class Endure:
    """Squares numbers; other payloads name a fault."""

    def identity(self) -> Mapping[str, Any]:
        return {}

    def setup(self) -> None:
        """Nothing to load."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        return [outcome_of(item, self._one) for item in items]

    def _one(self, item: StageItem) -> Mapping[str, Any]:
        match item.payload:
            case "spins":
                while True:
                    pass
            case "waits":
                time.sleep(3600)
            case "waits for a program":
                subprocess.run([sys.executable, "-c", "import time; time.sleep(3600)"], check=True)
            case "hoards":
                hoard = bytearray(HOARD_BYTES)
                hoard[::1024] = b"x" * len(hoard[::1024])
                time.sleep(3600)
            case "crashes":
                ctypes.string_at(0)  # SIGSEGV, as from a decoder
        return {"square": item.payload**2}
