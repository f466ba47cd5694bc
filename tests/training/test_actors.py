"""Ranks on a Ray cluster train as one process does, and go on when some of it is lost.

What is true of several processes wherever they are is tested in `test_processes.py`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import textwrap
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.conftest import ROOT
from tests.execution.scripts import start_python
from tests.execution.test_ray_engine import ray_processes, wait_until_gone
from tests.training.test_processes import (
    THREES,
    UnevenFrames,
    draw_again,
    losses,
)
from tiktok_virality.schema import ParameterError
from tiktok_virality.storage import place_at
from tiktok_virality.training import launcher
from tiktok_virality.training.actors import share_of_a_rank
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.parameters import EngineChoice

DRAW_AGAIN = """
import json, logging, os, sys
from pathlib import Path
from tests.training.test_processes import THREES, UnevenFrames, draw_again_by_nodes
from tiktok_virality.training import launcher
from tiktok_virality.training.parameters import EngineChoice

folder, address, fault, times = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
told = []
launcher.log_epoch = lambda name, epoch, losses: told.append(epoch)
engine = EngineChoice(type="ray", address=address or None)
training = THREES.model_copy(update={"processes": 2, "engine": engine})
model, called_in = draw_again_by_nodes(UnevenFrames(folder, fault, times), training)
made = {"history": model.history, "told": told, "called_in": called_in, "pid": os.getpid()}
(folder / "made.json").write_text(json.dumps(made))
"""
ONE_CORE, GPUS = {"num_cpus": 1}, {"num_cpus": 4, "num_gpus": 1}


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of one core each, on this machine."""
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    from ray.cluster_utils import Cluster

    before = ray_processes()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYTHONPATH", f"{ROOT}:{os.environ.get('PYTHONPATH', '')}")
        patched.setenv("RAY_worker_niceness", "0")  # as the driver's; a busy machine starves others
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        made.add_node(num_cpus=1)
        yield made
        made.shutdown()
    wait_until_gone(before)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The losses of one process."""
    return losses(draw_again(UnevenFrames(tmp_path_factory.mktemp("alone")), THREES))


@pytest.fixture
def start_drawing(tmp_path, cluster):
    """Starts a training in two ranks of the cluster, by a driver of its own."""
    with contextlib.ExitStack() as started:

        def start(fault: str = "", times: int = 0) -> subprocess.Popen:
            script, places = textwrap.dedent(DRAW_AGAIN), (str(tmp_path), cluster.address)
            process = start_python("-c", script, *places, fault, str(times))
            started.callback(process.kill)
            return process

        yield start


def wait_until_it_hangs(folder: Path, process: subprocess.Popen) -> None:
    while not UnevenFrames(folder).noted("hangs"):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
            pytest.fail(process.stdout.read())


def made_in(folder: Path, output: str) -> dict:
    assert (folder / "made.json").exists(), output
    return json.loads((folder / "made.json").read_text())


def losses_of(made: dict) -> np.ndarray:
    return np.array([[row["train_loss"], row["validation_loss"]] for row in made["history"]])


@pytest.mark.ray
@pytest.mark.slow
def test_two_ranks_draw_frames_again_with_the_losses_of_one_process(tmp_path, start_drawing, alone):
    output = start_drawing().communicate()[0]
    made = made_in(tmp_path, output)
    np.testing.assert_allclose(losses_of(made), alone, rtol=1e-5)
    readers = set(UnevenFrames(tmp_path).noted("read"))
    assert len(readers) == 2
    assert made["pid"] not in readers
    assert made["called_in"] == [made["pid"]] * 2  # the nodes of the run, once each
    assert made["told"] == [0, 1, 2, 3]
    assert output.count("autoencoder: best at epoch") == 1  # one rank speaks
    assert "Training in 2 ranks" in output
    assert not list(tmp_path.glob("checkpoints/*/ranks-*"))


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_rank_costs_what_came_after_the_last_checkpoint(tmp_path, start_drawing, alone):
    output = start_drawing("killed", 1).communicate()[0]
    made = made_in(tmp_path, output)
    np.testing.assert_allclose(losses_of(made), alone, rtol=1e-5)
    assert made["told"] == [0, 1, 2, 3]
    assert "last.ckpt (restart 1 of at most 3)" in output
    assert output.count("Training in 2 ranks") == 2
    assert output.count("autoencoder: going on after 1 epochs") == 1


@pytest.mark.ray
@pytest.mark.slow
def test_a_killed_node_leaves_the_training_to_the_other(tmp_path, cluster, start_drawing, alone):
    process = start_drawing("hangs", 1)
    wait_until_it_hangs(tmp_path, process)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    try:
        output = process.communicate()[0]
    finally:
        cluster.add_node(num_cpus=1)
    made = made_in(tmp_path, output)
    np.testing.assert_allclose(losses_of(made), alone, rtol=1e-5)
    assert made["told"] == [0, 1, 2, 3]
    assert "last.ckpt (restart 1 of at most 3)" in output
    assert "no room for 2 ranks" in output
    assert "Training in 1 ranks" in output


@pytest.mark.ray
@pytest.mark.slow
def test_a_fault_of_a_rank_is_raised_at_once_with_where_it_was(tmp_path, start_drawing):
    """Not tried again on other machines, as a lost rank is; batches are halved down to one."""
    output = start_drawing("full", 9).communicate()[0]
    assert not (tmp_path / "made.json").exists()
    assert "torch.OutOfMemoryError" in output
    assert "of 2:\nTraceback" in output
    assert output.count("does not fit") == 1
    assert "restart" not in output


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_driver_that_is_ended_leaves_no_rank(tmp_path, start_drawing, how):
    process = start_drawing("hangs", 1)
    wait_until_it_hangs(tmp_path, process)
    ranks = [psutil.Process(pid) for pid in set(UnevenFrames(tmp_path).noted("read"))]
    assert len(ranks) == 2
    os.killpg(process.pid, how)
    process.communicate()
    assert process.returncode
    assert not psutil.wait_procs(ranks, timeout=60)[1]


@pytest.mark.parametrize(
    ("nodes", "wanted", "device", "cores", "share", "count"),
    [
        ([(1, 0), (1, 0)], 2, "auto", None, ONE_CORE, 2),
        ([(1, 0)], 2, "auto", None, ONE_CORE, 1),
        ([], 2, "auto", None, ONE_CORE, 1),
        ([(8, 0), (8, 0)], 2, "auto", None, {"num_cpus": 8}, 2),
        ([(8, 0), (8, 0)], 3, "auto", None, {"num_cpus": 4}, 3),
        ([(8, 0), (8, 0)], 2, "auto", 6, {"num_cpus": 3}, 2),
        ([(8, 0), (8, 0)], 4, "auto", 2, ONE_CORE, 2),
        ([(8, 0), (4, 0)], "auto", "auto", None, {"num_cpus": 4}, 3),
        ([(8, 0), (8, 0)], "auto", "auto", None, {"num_cpus": 8}, 2),
        ([(4, 0), (16, 4)], "auto", "auto", None, GPUS, 4),
        ([(4, 0), (16, 4)], 2, "cuda", None, GPUS, 2),
        ([(4, 0), (16, 4)], 9, "auto", None, GPUS, 4),
        ([(4, 0), (16, 4)], 5, "cpu", None, {"num_cpus": 4}, 5),
    ],
)
def test_a_rank_takes_a_gpu_or_an_equal_part_of_the_cores(
    nodes, wanted, device, cores, share, count
):
    described = [{"CPU": float(cpu), "GPU": float(gpu)} for cpu, gpu in nodes]
    assert share_of_a_rank(described, wanted, device, cores) == (share, count)


def test_gpus_that_no_machine_has_are_asked_for_in_vain():
    with pytest.raises(ParameterError, match="no machine of the Ray cluster has one"):
        share_of_a_rank([{"CPU": 8.0}], "auto", "cuda", None)


def test_data_in_a_bucket_are_trained_on_by_the_driver_alone():
    """Checkpoints are made on a disk, and no other machine would find them there."""
    training = THREES.model_copy(update={"processes": 2, "engine": EngineChoice(type="ray")})
    checkpoints = place_at("s3://bucket/06_models/checkpoints")
    run = TrainingRun.of("autoencoder", [], checkpoints=checkpoints, seed=0, device="cpu")
    with pytest.raises(ParameterError, match="Say `processes: 1`"):
        launcher._group(training, run)
