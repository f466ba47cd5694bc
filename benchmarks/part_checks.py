"""What checksums cost: planning a stage that is finished, and reading its rows.

    python benchmarks/part_checks.py [CLIPS]

Rows are as large as those of the stage `frames`. Everything is in the page cache, so this is the
most that the checks can cost; processor time of the best of three.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tiktok_virality.datasets import StageStore, part_files
from tiktok_virality.execution import Done, Outcome, Resources, StageItem, StagePlan


class Frames:
    """Gives each clip frames of noise and eight stills."""

    def identity(self) -> Mapping[str, Any]:
        """Return nothing that decides."""
        return {}

    def setup(self) -> None:
        """Need nothing."""

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Return a row for each."""
        return [Done(video_id=item.video_id, columns=self._row(item.payload)) for item in items]

    def _row(self, seed: int) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        return {
            "pixels": rng.integers(0, 256, (64, 3, 64, 36), np.uint8),
            "stills": [rng.bytes(60_000) for _ in range(8)],
        }


@contextmanager
def unchecked() -> Iterator[None]:
    """Read as if there were no checksums."""
    with (
        mock.patch.object(part_files, "check_part", lambda *_: None),
        mock.patch.object(part_files, "check_value", lambda *_: None),
    ):
        yield


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of the best of three."""
    found = []
    for _ in range(3):
        part_files.open_part.cache_clear()
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return min(found)


def main() -> None:
    """Print planning and reading, with and without."""
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    items = [StageItem(video_id=f"{n}", digest=f"{n}", payload=n) for n in range(clips)]
    with tempfile.TemporaryDirectory() as folder:
        store = StageStore(filepath=folder)
        here = Resources(in_process=True)
        store.save(StagePlan(items=items, transform=Frames(), resources=here))
        stored = sum(path.stat().st_size for path in Path(folder).rglob("*.arrow")) / 1e6
        print(f"{clips} clips, {stored:.0f} MB in parts of 8")

        def read() -> float:
            return sum(
                float(row["pixels"].sum()) + sum(map(len, row["stills"]))
                for _, row in store.load().rows()
            )

        for what, work in (("planning", store.load), ("reading", read)):
            checked = cpu_seconds(work)
            with unchecked():
                plain = cpu_seconds(work)
            print(
                f"{what}: {1000 * checked:.0f} ms with checks, {1000 * plain:.0f} ms without; "
                f"{1000 * (checked - plain) / clips:.3f} ms a clip"
            )


if __name__ == "__main__":
    main()
