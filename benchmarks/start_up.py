"""How long a run takes to its first node when everything is cached.

make run
.venv/bin/python benchmarks/start_up.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from interleaved import print_machine

GOAL_SECONDS = 8
FIRST_NODE = "Running node"


def main() -> None:
    """Print the seconds from the command to its first node."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--env", default="demo")
    options.add_argument("--pipeline", default="reporting")
    options.add_argument("--repeats", type=int, default=5)
    wanted = options.parse_args()
    print_machine()
    command = [str(Path(sys.executable).parent / "kedro"), "run"]
    command += ["--env", wanted.env, "--pipeline", wanted.pipeline]
    seconds = [seconds_to_first_node(command) for _ in range(wanted.repeats)]
    print(
        f"{' '.join(command[1:])}: {statistics.median(seconds):.1f} s to the first node "
        f"({min(seconds):.1f} to {max(seconds):.1f} s in {wanted.repeats} runs); "
        f"goal: under {GOAL_SECONDS} s"
    )


def seconds_to_first_node(command: list[str]) -> float:
    """Run a command to its end, and return when it began its first node."""
    began = time.perf_counter()
    first = None
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        assert running.stdout is not None
        lines = []
        for line in running.stdout:
            lines.append(line)
            if first is None and FIRST_NODE in line:
                first = time.perf_counter() - began
    if running.returncode or first is None:
        raise SystemExit("".join(lines))
    return first


if __name__ == "__main__":
    main()
