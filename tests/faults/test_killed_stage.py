"""A stage whose process is killed again and again comes to its end, and does nothing twice."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import psutil
import pytest

from tests.execution.transforms import Square
from tiktok_virality.datasets import StageStore
from tiktok_virality.datasets.part_files import open_part

ROOT = Path(__file__).resolve().parents[2]
CLIPS, BATCH, WORKERS, KILLS = 800, 2, 2, 20


@pytest.mark.slow
def test_a_stage_killed_twenty_times_holds_every_clip_once(tmp_path):
    """By turns the whole process group, and the driver alone."""
    script = tmp_path / "stage.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from pathlib import Path
            from tests.execution.transforms import Square, items
            from tiktok_virality.datasets import StageStore
            from tiktok_virality.execution import StagePlan

            if __name__ == "__main__":
                numbers = {{f"v{{i}}": i % 9 for i in range({CLIPS})}}
                engine = {{"type": "local", "workers": {WORKERS}}}
                StageStore(filepath={str(tmp_path / "stage")!r}, engine=engine).save(
                    StagePlan(
                        items=items(**numbers),
                        transform=Square(Path({str(tmp_path / "trace")!r})),
                        batch_size={BATCH},
                    )
                )
            """
        )
    )
    (tmp_path / "trace").mkdir()
    draw = random.Random(0)
    for number in range(KILLS):
        there = len(parts(tmp_path))
        wanted = there + draw.randint(1, 2 * (CLIPS // BATCH - there) // (KILLS - number + 1))
        driver = start(script)
        while len(parts(tmp_path)) < wanted and driver.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                driver.wait(0.02)
        assert driver.poll() is None, "it ended before it could be killed"
        family = psutil.Process(driver.pid).children(recursive=True)
        (os.killpg if number % 2 else os.kill)(driver.pid, signal.SIGKILL)
        driver.wait()
        assert psutil.wait_procs(family, timeout=60)[1] == []
    assert start(script).wait() == 0
    store = StageStore(filepath=str(tmp_path / "stage"))
    assert len(dict(store.load().rows())) == CLIPS
    stored = Counter(
        key for part in parts(tmp_path) for key in open_part(part)["video_id"].to_pylist()
    )
    assert set(stored.values()) == {1}
    seen = Counter(Square(tmp_path / "trace").seen())
    assert len(seen) == CLIPS
    assert seen.total() - CLIPS <= KILLS * WORKERS * BATCH  # what was under way
    assert not list(tmp_path.rglob(".*.tmp"))


def start(script: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(script)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        start_new_session=True,
    )


def parts(folder: Path) -> list[Path]:
    return list((folder / "stage").glob("*/*.arrow"))
