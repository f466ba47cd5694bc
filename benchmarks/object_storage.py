"""S3 beside the disk: what a stage costs where its parts lie in a bucket, and how many requests.

    python benchmarks/object_storage.py [--clips 400] [--rounds 3]

The server is moto's, a process of its own on this machine, so there is no network in between: what
is measured is the work on this side and that of a server in Python. Requests are what a real bucket
adds its latency to, and its price. Rows are as large as those of the stage `frames`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pyarrow.fs
from part_checks import Frames

from tiktok_virality.datasets import StageStore, part_files
from tiktok_virality.execution import Resources, StageItem, StagePlan
from tiktok_virality.storage import ObjectPath, place_at

KEY, SECRET = "somebody", "something"
SERVER = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.basicConfig(filename=sys.argv[1], level=logging.INFO)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("%s:%d" % server.get_host_and_port(), flush=True)
sys.stdin.read()
"""
STEPS = ("compute and write", "find all done", "load", "read all rows")
FIRST = {"load": "load, no copies on this machine"}


@dataclass
class Server:
    """An S3 server in a process of its own, which notes its requests."""

    address: str
    log: Path

    def requests(self) -> int:
        """Return how many there were so far."""
        return self.log.read_text().count("HTTP/1.1")

    def client(self) -> Any:
        """Return another client than the project's."""
        return boto3.client(
            "s3",
            endpoint_url=self.address,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start a server, and end it."""
    log = folder / "requests.log"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(log)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        yield Server(f"http://{process.stdout.readline().strip()}", log)
    finally:
        process.stdin.close()
        process.wait()


@dataclass
class Costs:
    """Seconds and requests of each step, round by round."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)

    def take(self, step: str, work: Callable[[], object], server: Server) -> None:
        """Do a step, as a new process would: no part is open."""
        part_files.open_part.cache_clear()
        before, began = server.requests(), time.perf_counter()
        work()
        self.seconds.setdefault(step, []).append(time.perf_counter() - began)
        self.requests[step] = server.requests() - before


def measure(costs: Costs, plan: StagePlan, place: str, options: dict, server: Server) -> None:
    """Go through the steps of a stage in one place."""

    def store() -> StageStore:
        return StageStore(filepath=place, **options)

    costs.take("compute and write", lambda: store().save(plan), server)
    costs.take("find all done", lambda: store().save(plan), server)
    costs.take("load", lambda: store().load(), server)
    costs.take("read all rows", lambda: sum(1 for _ in store().load().rows()), server)


def print_clients(server: Server, folder: Path, megabytes: float = 0.9, times: int = 100) -> None:
    """Print what one object costs by three clients."""
    client = server.client()
    client.create_bucket(Bucket="clients")
    credentials = {"key": KEY, "secret": SECRET, "endpoint": server.address, "folder": str(folder)}
    ours = place_at("s3://clients/a", credentials)
    assert isinstance(ours, ObjectPath)
    arrow = pyarrow.fs.S3FileSystem(
        access_key=KEY, secret_key=SECRET, endpoint_override=server.address, region="us-east-1"
    )
    content = b"1" * int(megabytes * 1e6)

    def put_by_arrow() -> None:
        with arrow.open_output_stream("clients/b") as stream:
            stream.write(content)

    def get_by_arrow() -> None:
        with arrow.open_input_file("clients/b") as stream:
            stream.read()

    by_client = {
        "obstore (ours)": (lambda: ours.write_bytes(content), lambda: ours.read_bytes()),
        "pyarrow": (put_by_arrow, get_by_arrow),
        "boto3": (
            lambda: client.put_object(Bucket="clients", Key="c", Body=content),
            lambda: client.get_object(Bucket="clients", Key="c")["Body"].read(),
        ),
    }
    print(f"\n| one object of {megabytes} MB | put, ms | get, ms | requests for both |")
    print("|---|---|---|---|")
    for name, (put, get) in by_client.items():
        costs = Costs()
        for _ in range(times):
            costs.take("put", put, server)
            costs.take("get", get, server)
        put_ms, get_ms = (1e3 * statistics.median(costs.seconds[step]) for step in ("put", "get"))
        print(f"| {name} | {put_ms:.1f} | {get_ms:.1f} | {sum(costs.requests.values())} |")


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    items = [StageItem(video_id=f"{n}", digest=f"{n}", payload=n) for n in range(given.clips)]
    plan = StagePlan(items=items, transform=Frames(), resources=Resources(in_process=True))
    disk, bucket = Costs(), Costs()
    with tempfile.TemporaryDirectory() as name, serving(Path(name)) as server:
        for _ in range(given.rounds):
            folder = Path(name) / uuid.uuid4().hex
            measure(disk, plan, str(folder / "stage"), {}, server)
            its_name = f"round-{uuid.uuid4().hex[:8]}"
            server.client().create_bucket(Bucket=its_name)
            credentials = {
                "key": KEY,
                "secret": SECRET,
                "endpoint": server.address,
                "folder": str(folder / "here"),
            }
            place = f"s3://{its_name}/stage"
            measure(bucket, plan, place, {"credentials": credentials}, server)
            elsewhere = StageStore(
                filepath=place, credentials=credentials | {"folder": str(folder / "elsewhere")}
            )
            bucket.take(FIRST["load"], elsewhere.load, server)
        print(
            f"{given.clips} clips in parts of 8, {given.rounds} rounds; seconds, median (range)\n"
        )
        print("| step | disk, s | bucket, s | requests |")
        print("|---|---|---|---|")
        for step in (*STEPS, FIRST["load"]):
            on_disk = _told(disk.seconds.get(step, []))
            print(
                f"| {step} | {on_disk} | {_told(bucket.seconds[step])} | {bucket.requests[step]} |"
            )
        print_clients(server, Path(name))


def _told(seconds: list[float]) -> str:
    if not seconds:
        return ""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


if __name__ == "__main__":
    main()
