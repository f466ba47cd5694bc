"""The Ray engine: lost workers and nodes, joining a cluster, and what is left when a run ends.

What is true of every engine is tested in `test_local_engine.py` and `test_stage_store.py`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.execution.scripts import start_python
from tests.execution.transforms import Square, items
from tiktok_virality.datasets.part_files import open_part
from tiktok_virality.datasets.stage_store import StageStore
from tiktok_virality.execution import RayEngine, Resources, StagePlan, StageWork
from tiktok_virality.execution.ray_cluster import share_of_a_worker
from tiktok_virality.schema import StageError

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = {f"v{i}": i for i in range(120)}
SAVE = """
import sys
from pathlib import Path
from tests.execution.transforms import Square, items
from tiktok_virality.datasets.stage_store import StageStore
from tiktok_virality.execution import StagePlan

folder, address = Path(sys.argv[1]), sys.argv[2] or None
store = StageStore(
    filepath=str(folder / "stage"), engine={"type": "ray", "workers": 2, "address": address}
)
square = Square(folder / "trace", seconds=0.1)
numbers = {f"v{i}": i for i in range(120)}
store.save(StagePlan(items=items(**numbers), transform=square, batch_size=2))
print("saved", store.last_report)
"""

has_ray = pytest.mark.usefixtures("installed")


@pytest.fixture
def installed():
    return pytest.importorskip("ray", reason="the extra `ray` is not installed")


def start_saving(folder: Path, address: str = "") -> subprocess.Popen:
    """Start a save in a process of its own; return when parts of it are written."""
    (folder / "trace").mkdir()
    process = start_python("-c", textwrap.dedent(SAVE), str(folder), address)
    while len(parts_in(folder)) < 6:
        assert process.poll() is None, process.stdout.read()
    return process


def parts_in(folder: Path) -> list[Path]:
    return list((folder / "stage").glob("*/*.arrow"))


def written_in(folder: Path) -> set[str]:
    """Return the items that have a row in some part."""
    return {i for part in parts_in(folder) for i in open_part(part)["video_id"].to_pylist()}


def traces(folder: Path) -> list[tuple[str, int]]:
    """Return which items were begun, and in which process."""
    names = (path.name.rsplit(".", 2) for path in (folder / "trace").iterdir())
    return [(video_id, int(pid)) for video_id, pid, _ in names]


def check_complete(folder: Path, written_before: set[str]) -> None:
    """All is done; what was written before the fault was begun once."""
    store = StageStore(filepath=str(folder / "stage"))
    assert store.exists()
    assert store.load().ids == list(NUMBERS)
    times = Counter(video_id for video_id, _ in traces(folder))
    assert {times[video_id] for video_id in written_before} <= {1}
    assert set(times) == set(NUMBERS)


def ray_processes() -> set[str]:
    """Return the processes of Ray that run on this machine, each with its number."""
    listed = subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True).stdout
    marks = ("raylet", "gcs_server", "ray::", "ray/_private", "ray/dashboard")
    return {line[:120] for line in listed.splitlines() if any(mark in line for mark in marks)}


def wait_until_gone(before: set[str]) -> None:
    ended = time.monotonic() + 180  # Ray's own agents take their time on a busy machine
    while left := ray_processes() - before:
        assert time.monotonic() < ended, f"left running: {left}"


@pytest.mark.ray
@pytest.mark.slow
@has_ray
def test_a_worker_killed_in_the_middle_costs_nothing(tmp_path):
    process = start_saving(tmp_path)
    written = written_in(tmp_path)
    os.kill(traces(tmp_path)[-1][1], signal.SIGKILL)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    check_complete(tmp_path, written)
    assert "raylet" not in output, output


@pytest.mark.ray
@pytest.mark.slow
@has_ray
def test_a_node_killed_in_the_middle_costs_nothing(tmp_path):
    from ray.cluster_utils import Cluster

    before = ray_processes()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        node = cluster.add_node(num_cpus=1)
        process = start_saving(tmp_path, cluster.address)
        while len({pid for _, pid in traces(tmp_path)}) < 2:
            assert process.poll() is None, "one node did it all"
        written = written_in(tmp_path)
        cluster.remove_node(node, allow_graceful=False)
        output = process.communicate()[0]
        assert process.returncode == 0, output
        check_complete(tmp_path, written)
    finally:
        cluster.shutdown()
    wait_until_gone(before)


@pytest.mark.ray
@pytest.mark.slow
@has_ray
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_its_parts_and_no_process(tmp_path, how):
    before = ray_processes()
    process = start_saving(tmp_path)
    assert ray_processes() - before
    if how == signal.SIGINT:  # as Ctrl-C does, which the whole group hears
        os.killpg(process.pid, how)
    else:
        process.send_signal(how)
    process.communicate()
    assert process.returncode
    wait_until_gone(before)
    written = written_in(tmp_path)
    assert 0 < len(written) < len(NUMBERS)
    store = StageStore(filepath=str(tmp_path / "stage"))
    store.save(StagePlan(items=items(**NUMBERS), transform=Square(tmp_path / "trace")))
    assert store.last_report.skipped == len(written)


@pytest.mark.ray
@pytest.mark.slow
@has_ray
def test_a_cluster_is_joined_by_its_client_too(tmp_path, monkeypatch):
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{os.environ.get('PYTHONPATH', '')}")

    before = ray_processes()
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 2, "ray_client_server_port": 25001}
    )
    try:
        process = start_saving(tmp_path, "ray://127.0.0.1:25001")
        output = process.communicate()[0]
        assert process.returncode == 0, output
        check_complete(tmp_path, set())
    finally:
        cluster.shutdown()
    wait_until_gone(before)


@has_ray
@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_cluster_that_is_not_there_is_said_in_one_line(address):
    with pytest.raises(StageError, match="No Ray cluster can be joined") as told:
        list(RayEngine(address=address).run(*nothing_but_one_item()))
    assert "\n" not in str(told.value)
    assert address in str(told.value)


@has_ray
@pytest.mark.parametrize("address", ["somewhere:", "ray://:10001", "host:port"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(StageError, match="give 'auto', 'host:port'"):
        list(RayEngine(address=address).run(*nothing_but_one_item()))


@pytest.mark.parametrize(
    ("nodes", "resources", "cores", "share", "workers"),
    [
        ([(2, 0)], Resources(), None, {"num_cpus": 1}, 2),
        ([(0, 0), (8, 0), (4, 0)], Resources(), None, {"num_cpus": 1}, 12),
        ([(8, 0)], Resources(), 64, {"num_cpus": 1}, 64),
        ([(8, 0)], Resources(max_workers=3), None, {"num_cpus": 1}, 3),
        ([], Resources(), None, {"num_cpus": 1}, 1),
        ([(2, 0)], Resources(in_process=True), None, {"num_cpus": 2}, 1),
        ([(8, 0), (4, 0)], Resources(in_process=True), None, {"num_cpus": 4}, 3),
        ([(8, 0)], Resources(in_process=True), 1, {"num_cpus": 8}, 1),
        ([(8, 0), (16, 4)], Resources(in_process=True), None, {"num_cpus": 4, "num_gpus": 1}, 4),
        ([(16, 4)], Resources(), None, {"num_cpus": 1}, 16),
    ],
)
def test_a_worker_takes_one_core_or_a_machine_or_a_gpu(nodes, resources, cores, share, workers):
    described = [{"CPU": float(cpu), "GPU": float(gpu)} for cpu, gpu in nodes]
    assert share_of_a_worker(described, resources, cores) == (share, workers)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StageError, match="install the extra `ray`") as told:
        list(RayEngine().run(*nothing_but_one_item()))
    assert "\n" not in str(told.value)


def nothing_but_one_item() -> tuple:
    work = StageWork(transform=Square(Path(os.devnull)), write=lambda batch, outcomes: None)
    return [items(a=1)], work, Resources()
