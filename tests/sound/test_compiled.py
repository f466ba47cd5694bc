"""What numba compiles for librosa: two processes at once do not spoil it for all that follow."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

READ = """
import numpy as np
from tests.sound.sounds import chords, clicks, noise, sine, sound_item, speech
from tiktok_virality.execution import Done
from tiktok_virality.models.sound_configs import SoundParameters
from tiktok_virality.stages.sound import SoundReader

reader = SoundReader(SoundParameters())
reader.setup()
print(sorted(p.name for p in __import__("pathlib").Path({cache!r}).rglob("*.nb*")))
sounds = [speech(), noise(0.1), clicks(120), chords((0, 4, 7)), sine(440, 1.5), noise(3)]
sounds.append(np.zeros(8000, np.float32))
read = reader([sound_item(str(place), samples) for place, samples in enumerate(sounds)])
assert all(isinstance(outcome, Done) for outcome in read)
print(sorted(p.name for p in __import__("pathlib").Path({cache!r}).rglob("*.nb*")))
"""


def start(cache: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", READ.format(cache=cache)],
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_workers_that_start_in_a_new_environment_at_once_all_live_and_so_does_the_next(tmp_path):
    first = [start(str(tmp_path)) for _ in range(2)]
    said = [process.communicate()[0].splitlines() for process in first]
    assert [process.returncode for process in first] == [0, 0]
    later = start(str(tmp_path))
    before, after = later.communicate()[0].splitlines()
    assert later.returncode == 0
    assert before == after == said[0][-1]  # nothing is compiled but while it is locked
    assert ".nbc" in after
