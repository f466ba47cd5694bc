"""How long an answer about a clip takes: the command, the page, the service; and many at once.

    .venv/bin/python benchmarks/scoring_latency.py [--requests 200] [--visitors 20] [--in-turn 100]
        [--repeats 3] [--only command service] [--model models:/tiktok_virality_demo@champion]

Needs `make run`. The clip is one of the demo, made ten seconds long. Every answer of the service
and of the page is compared with the one that the command gives. Prints tables in Markdown. Where
others use the machine, compare seconds of the processor (of all processes), not those of the wall.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import psutil

VIDEOS = Path("data/demo/01_raw/videos")
COMMAND = [sys.executable, "-m", "tiktok_virality.app"]
SERVED = "models:/tiktok_virality_demo@champion"
PARTS = ("command", "page", "service")
PATIENCE_SECONDS = 600
CAPTION = "two squats a day #gym"


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=200)
    options.add_argument("--visitors", type=int, default=20)
    options.add_argument("--in-turn", type=int, default=100)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    options.add_argument("--model", default=SERVED, help="what the service serves")
    asked = options.parse_args()
    with TemporaryDirectory(prefix="latency-") as folder:
        clip = ten_seconds(Path(folder))
        truth = score(clip)[0]
        if "command" in asked.only:
            command_table(clip, asked.repeats)
        if "page" in asked.only:
            page_table(clip, truth, asked.visitors)
        if "service" in asked.only:
            service_table(clip, truth, asked.requests, asked.in_turn, asked.model)
        print(f"Others beside: load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")


def ten_seconds(folder: Path) -> Path:
    """Return a clip of the demo, again and again until it is ten seconds long."""
    import imageio_ffmpeg

    clip = folder / "draft.mp4"
    source = max(VIDEOS.glob("*.mp4"), key=lambda path: path.stat().st_size)
    longer = ["-stream_loop", "1", "-i", str(source), "-t", "10", "-c:v", "libx264", "-c:a", "aac"]
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([ffmpeg, "-loglevel", "error", *longer, str(clip)], check=True)
    return clip


def command_table(clip: Path, repeats: int) -> None:
    """Measure the command."""
    ten = sorted(VIDEOS.glob("*.mp4"))[:10]
    rows = []
    for name, files, more in (
        ("one clip", [clip], []),
        ("one clip, explained", [clip], ["--explain"]),
        ("ten clips", ten, []),
    ):
        spent = [score(*files, more=more)[1:] for _ in range(1 if len(files) > 1 else repeats)]
        wall, busy = (statistics.median(each) for each in zip(*spent, strict=True))
        rows.append([f"`tiktok-virality score`, {name}", f"{wall:.1f}", f"{busy:.1f}"])
    show(["command, everything loaded anew", "s", "of the processor, s"], rows)


def score(*files: Path, more: Sequence[str] = ()) -> tuple[float, float, float]:
    """Score clips by the command.

    Returns:
        The prediction of the first, the seconds it took, and those of the processor.
    """
    asked = [*map(str, files), "--caption", CAPTION, "--env", "demo", "--json", *more]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    said = subprocess.run([*COMMAND, "score", *asked], capture_output=True, text=True, check=True)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return float(json.loads(said.stdout)["clips"][0]["prediction"]), wall, busy


def page_table(clip: Path, truth: float, visitors: int) -> None:
    """Measure the page: one visitor after another, then many at once."""
    command = [*COMMAND, "page", "--env", "demo", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    found = re.search(r"http://\S+?(?=\. )", process.stdout.readline())
    assert found is not None
    with ended(process), watched(process.pid) as memory:
        _, first = visit(found.group(), clip, truth)
        warm = [visit(found.group(), clip, truth) for _ in range(10)]
        before = max(memory)
        started = time.perf_counter()
        with ThreadPoolExecutor(visitors) as pool:
            together = list(pool.map(lambda _: visit(found.group(), clip, truth), range(visitors)))
        whole = time.perf_counter() - started
    show(
        ["page", "s"],
        [
            ["first visitor, explained", f"{first:.1f}"],
            ["later visitors, the answer, median", f"{statistics.median(a for a, _ in warm):.1f}"],
            ["the same, explained", f"{statistics.median(whole for _, whole in warm):.1f}"],
            [f"{visitors} at once: the last one", f"{max(whole for _, whole in together):.1f}"],
            [f"{visitors} at once: a clip", f"{whole / visitors:.2f}"],
            ["memory, MB: one after another; at once", f"{before:.0f}; {max(memory):.0f}"],
        ],
    )


def visit(address: str, clip: Path, truth: float) -> tuple[float, float]:
    """Send a clip to the page; return the seconds until its answer, and until it is explained."""
    answered = 0.0
    started = time.perf_counter()
    _, told = ask(f"{address}/jobs", b"", "POST")
    job = told["job"]
    ask(f"{address}/jobs/{job}/clips?name=draft.mp4", clip.read_bytes(), "PUT")
    ask(f"{address}/jobs/{job}/start", CAPTION.encode(), "POST")
    while True:
        _, told = ask(f"{address}/jobs/{job}", None, "GET")
        if "clips" in told and not answered:
            answered = time.perf_counter() - started
        if told["state"] == "done":
            break
        assert told["state"] in ("waiting", "working"), told
        time.sleep(0.05)
    assert abs(told["clips"][0]["prediction"] - truth) < 1e-4
    assert told["clips"][0]["why"]
    return answered, time.perf_counter() - started


def service_table(clip: Path, truth: float, requests: int, in_turn: int, model: str) -> None:
    """Measure the service: one request after another, then many at once."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": f"sqlite:///{Path('mlflow.db').resolve()}",
        "MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT": "3600",
        "TIKTOK_VIRALITY_CLIPS": str(clip.parent),
    }
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", model]
    process = subprocess.Popen(
        [*command, "--env-manager", "local", "--port", str(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    address = f"http://127.0.0.1:{port}"
    body = json.dumps({"dataframe_records": [{"clip": clip.name, "caption": CAPTION}]}).encode()

    def request(_: object) -> tuple[bool, float]:
        started = time.perf_counter()
        status, told = ask(f"{address}/invocations", body, "POST")
        right = status == 200 and abs(told["predictions"][0]["prediction"] - truth) < 1e-4
        return right, time.perf_counter() - started

    with ended(process), watched(process.pid) as memory:
        wait_for(f"{address}/ping")
        request(None)
        idle = busy_seconds(process.pid)
        alone = [request(None) for _ in range(in_turn)]
        before, in_turn_seconds = max(memory), busy_seconds(process.pid) - idle
        started = time.perf_counter()
        with ThreadPoolExecutor(requests) as pool:
            together = list(pool.map(request, range(requests)))
        whole = time.perf_counter() - started
        at_once_seconds = busy_seconds(process.pid) - idle - in_turn_seconds
    seconds = sorted(spent for _, spent in alone)
    show(
        ["service", "s"],
        [
            [f"median of {in_turn} in turn", f"{statistics.median(seconds):.2f}"],
            ["99th of a hundred", f"{seconds[int(0.99 * (len(seconds) - 1))]:.2f}"],
            [f"{requests} at once: right answers", f"{sum(right for right, _ in together)}"],
            [f"{requests} at once: the last one", f"{max(spent for _, spent in together):.0f}"],
            [f"{requests} at once: a request", f"{whole / requests:.2f}"],
            ["of the processor, a request in turn", f"{in_turn_seconds / in_turn:.2f}"],
            ["of the processor, a request at once", f"{at_once_seconds / requests:.2f}"],
            ["memory, MB: in turn; at once", f"{before:.0f}; {max(memory):.0f}"],
        ],
    )


def ask(address: str, body: bytes | None, method: str) -> tuple[int, Any]:
    """Ask over HTTP; return the status and what was answered."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, body, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=3600) as response:
            content = response.read()
            return response.status, json.loads(content) if content else None
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def wait_for(address: str) -> None:
    """Wait until somebody answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """End a process, and those that it has started, whatever happens."""
    try:
        yield
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.send_signal(signal.SIGTERM)
        process.terminate()
        process.wait(30)


def busy_seconds(pid: int) -> float:
    """Return the seconds of the processor that a process and those that it has started took."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(each.cpu_times().user + each.cpu_times().system for each in family)


@contextmanager
def watched(pid: int) -> Iterator[list[float]]:
    """Note the memory of a process and of those that it has started, MB, every half second."""
    memory, over = [0.0], Event()

    def watch() -> None:
        while not over.wait(0.5):
            try:
                family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
                memory.append(sum(each.memory_info().rss for each in family) / 2**20)
            except psutil.NoSuchProcess:
                continue

    thread = Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


def show(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    lines = [f"| {' | '.join(row)} |" for row in (head, ["---", "--:"], *rows)]
    print("\n".join(lines), flush=True)
    print(flush=True)


if __name__ == "__main__":
    main()
