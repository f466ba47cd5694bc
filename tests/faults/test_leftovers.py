"""What killed writers leave is swept; what others are writing at this moment is not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tiktok_virality.datasets.part_files import sweep_unfinished, write_bytes_atomically

HOLDS = """
import sys
from pathlib import Path
from tiktok_virality.datasets.part_files import _open_held

with _open_held(Path(sys.argv[1])) as file:
    file.write(b"half")
    print("writing", flush=True)
    sys.stdin.read()
"""


def test_what_another_process_is_writing_stays_until_that_process_is_killed(tmp_path):
    unfinished = tmp_path / ".part.arrow.0123abcd.tmp"
    writer = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(unfinished)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout.readline() == "writing\n"
    sweep_unfinished(tmp_path)
    assert unfinished.exists()
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    sweep_unfinished(tmp_path)
    assert not unfinished.exists()


def test_a_file_is_there_whole_and_alone_once_it_is_written(tmp_path):
    write_bytes_atomically(tmp_path / "part", b"whole")
    sweep_unfinished(tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"whole"]
