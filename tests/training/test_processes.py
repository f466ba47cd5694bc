"""Several processes train as one does: its losses, one history, on from a death, halved batches."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import node, pipeline
from kedro.runner import SequentialRunner

from tests.training.test_training import SIZES, SPEC, TRAIN, VALIDATION, clips, run
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.pipelines.visual.nodes import train_autoencoder as train_autoencoder_node
from tiktok_virality.schema import ParameterError, TrainingError
from tiktok_virality.training import launcher
from tiktok_virality.training.autoencoder import train_autoencoder
from tiktok_virality.training.corpus import ClipTokens, Rows
from tiktok_virality.training.data import frame_batches, token_batches
from tiktok_virality.training.module import ViewsTrainee
from tiktok_virality.training.parameters import AutoencoderTraining, TrainingParameters
from tiktok_virality.training.predictors import train_predictor
from tiktok_virality.training.processes import count_processes

LENGTHS = [1, 5, 2, 2, 7, 3, 1, 4, 6, 2]
NAMES = [f"v{index}" for index in range(len(LENGTHS))]
TAUGHT, TOLD = NAMES[:7], NAMES[7:]
SHAPE = ConvLSTMConfig(hidden=3)
THREES = AutoencoderTraining(epochs=4, batch_size=3, learning_rate=0.02, precision="full")
"""Seven clips in threes: the last batch has one clip, and a second process has none of it."""

FEW = {"epochs": 3, "batch_size": 5, "learning_rate": 0.01, "precision": "full"}


@dataclass(frozen=True)
class UnevenFrames:
    """Frames of clips of uneven length; reading them may go wrong, once or always.

    Attributes:
        folder: Where it is noted who reads, and what has gone wrong.
        fault: What happens when the fifth clip is read in an epoch after the first.
        times: How often.
    """

    folder: Path
    fault: str = ""
    times: int = 0

    fingerprint = "uneven"
    digests = dict.fromkeys(NAMES, "x")

    def __contains__(self, video_id: object) -> bool:
        return video_id in self.digests

    def fingerprint_of(self, columns) -> str:
        return self.fingerprint

    def row(self, video_id: str, columns=None) -> dict[str, np.ndarray]:
        length = LENGTHS[NAMES.index(video_id)]
        if columns == ["timestamps_seconds"]:
            return {"timestamps_seconds": np.arange(length, dtype=np.float32)}
        self.note("read")
        if video_id == "v4" and list(self.folder.glob("checkpoints/*/last.ckpt")):
            self.go_wrong()
        rng = np.random.default_rng(length)
        return {"pixels": rng.integers(0, 256, (length, 3, 6, 4), np.uint8)}

    def go_wrong(self) -> None:
        if len(self.noted(self.fault)) >= self.times:
            return
        self.note(self.fault)
        if self.fault == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.fault == "hangs":
            threading.Event().wait()
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    def note(self, what: str) -> None:
        with (self.folder / f"{what}.txt").open("a") as file:
            file.write(f"{os.getpid()}\n")

    def noted(self, what: str) -> list[int]:
        file = self.folder / f"{what}.txt"
        return [int(line) for line in file.read_text().split()] if file.exists() else []


def draw_again(frames: UnevenFrames, parameters: AutoencoderTraining):
    here = dataclasses.replace(run(frames.folder / "checkpoints"), name="autoencoder")
    return train_autoencoder(frames, TAUGHT, TOLD, SHAPE, parameters, here)


def in_two(parameters):
    return parameters.model_copy(update={"processes": 2})


def folder(tmp_path: Path, name: str) -> Path:
    made = tmp_path / name
    made.mkdir()
    return made


def losses(model) -> np.ndarray:
    return np.array([[row["train_loss"], row["validation_loss"]] for row in model.history])


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The autoencoder as one process trains it."""
    return draw_again(UnevenFrames(tmp_path_factory.mktemp("alone")), THREES)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_parts_of_a_batch_hold_each_clip_once_and_none_is_empty(tmp_path, count):
    whole = frame_batches(UnevenFrames(tmp_path), NAMES, batch_size=4, seed=1)
    parts = [list(whole.loader(index, count)) for index in range(count)]
    assert {len(each) for each in parts} == {len(whole)}
    for step in zip(*parts, strict=True):
        assert all(len(part.batch[1]) for part in step)
    counted = [n for each in parts for part in each if part.counts for n in part.batch[1].tolist()]
    assert sorted(counted) == sorted(LENGTHS)


@pytest.mark.parametrize("kind", ["modality", "late_fusion", "early_fusion", "published"])
def test_every_weight_of_a_predictor_has_a_gradient_whatever_the_clips_lack(kind):
    """Processes wait for the gradient of every weight: one that no clip reaches would stop them."""
    sizes = {"visual": 4} if kind == "modality" else {"visual": 4, "audio": 2}
    spec = ModelSpec(
        kind=kind,
        transformer=SPEC.transformer,
        token_sizes=sizes,
        token_counts={"visual": 7, "audio": 2},
    )
    trainee = ViewsTrainee(spec.build_deep(), TrainingParameters(**FEW), 1)
    silent = [
        ClipTokens(tokens={"visual": clip.tokens["visual"][:, :4]})
        for clip in TRAIN.tokens
        if "audio" not in clip.tokens
    ]
    batches = token_batches(silent, np.zeros(len(silent)), sizes, batch_size=4, seed=0)
    part = next(iter(batches.loader(0, 1)))
    trainee.loss(part.batch)[0].backward()
    learning = [value for value in trainee.parameters() if value.requires_grad]
    assert learning
    assert all(value.grad is not None for value in learning)


def test_more_processes_than_gpus_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert count_processes("auto", "auto") == 2
    assert count_processes("auto", "cpu") == 1
    assert count_processes(3, "cpu") == 3
    with pytest.raises(ParameterError, match="3 asks for as many GPUs, and this machine has 2"):
        count_processes(3, "cuda")


def test_processes_are_no_part_of_what_names_a_training():
    assert in_two(THREES).model_dump() == THREES.model_dump()


@pytest.mark.slow
def test_two_processes_draw_frames_again_with_the_losses_of_one(tmp_path, alone, monkeypatch):
    told = []
    monkeypatch.setattr(launcher, "log_epoch", lambda *epoch: told.append(epoch))
    frames = UnevenFrames(tmp_path)
    pair = draw_again(frames, in_two(THREES))
    readers = set(frames.noted("read"))
    assert len(readers) == 2
    assert os.getpid() not in readers
    np.testing.assert_allclose(losses(pair), losses(alone), rtol=1e-5)
    for name, value in alone.state.items():
        torch.testing.assert_close(pair.state[name], value, rtol=1e-3, atol=1e-6)
    assert [(name, epoch) for name, epoch, _ in told] == [("autoencoder", e) for e in range(4)]
    assert [row["train_loss"] for _, _, row in told] == losses(pair)[:, 0].tolist()


@pytest.mark.slow
def test_two_processes_predict_with_the_losses_of_one(tmp_path):
    shape = SPEC.transformer.model_copy(update={"dropout": 0.0})
    spec = ModelSpec(kind="late_fusion", transformer=shape, token_sizes=SIZES)
    few = clips(21, 5)
    one, two = (
        train_predictor(spec, few, VALIDATION, parameters, run(tmp_path / name))
        for name, parameters in (
            ("one", TrainingParameters(**FEW)),
            ("two", TrainingParameters(**FEW, processes=2)),
        )
    )
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-5)


@pytest.mark.slow
def test_a_killed_process_costs_what_came_after_the_last_checkpoint(tmp_path, alone, caplog):
    frames = UnevenFrames(tmp_path, "killed", times=1)
    with caplog.at_level(logging.INFO):
        model = draw_again(frames, in_two(THREES))
    (line,) = [row.message for row in caplog.records if row.levelno == logging.WARNING]
    assert "SIGKILL" in line
    assert "goes on from" in line
    assert "last.ckpt (restart 1 of at most 3)" in line
    assert caplog.text.count("autoencoder: going on after 1 epochs") == 1  # by one process
    assert [row["epoch"] for row in model.history] == list(range(4))
    np.testing.assert_allclose(losses(model), losses(alone), rtol=1e-5)


@pytest.mark.slow
def test_deaths_come_to_an_end_with_an_error_that_names_the_checkpoint(tmp_path, caplog):
    frames = UnevenFrames(tmp_path, "killed", times=9)
    parameters = THREES.model_copy(update={"processes": 2, "restarts": 1})
    with pytest.raises(TrainingError, match=r"SIGKILL.*after 1 restarts.*last\.ckpt"):
        draw_again(frames, parameters)
    assert caplog.text.count("Training goes on from") == 1
    assert list(tmp_path.glob("checkpoints/*/last.ckpt"))


@pytest.mark.slow
def test_a_batch_that_does_not_fit_in_one_of_two_processes_is_halved(tmp_path, caplog):
    frames = UnevenFrames(tmp_path, "full", times=1)
    model = draw_again(frames, in_two(THREES))
    (line,) = [row.message for row in caplog.records if "does not fit" in row.message]
    assert "2 clips, and 2 of them make a step" in line
    assert [row["epoch"] for row in model.history] == list(range(4))


@pytest.mark.slow
def test_a_fault_in_one_process_is_raised_with_where_it_was(tmp_path):
    frames = UnevenFrames(tmp_path, "full", times=9)
    parameters = THREES.model_copy(update={"batch_size": 2, "processes": 2})
    with pytest.raises(torch.OutOfMemoryError) as caught:
        draw_again(frames, parameters)
    (note,) = caught.value.__notes__
    assert "of 2:\nTraceback" in note
    assert "go_wrong" in note


def forward(frames: Rows, counts: Path) -> Rows:
    with counts.open("a") as file:
        file.write(f"{os.getpid()}\n")
    return frames


def draw_again_by_nodes(frames: UnevenFrames, training: AutoencoderTraining):
    """Train within a pipeline, each of whose nodes notes in which process it is called."""
    counts = frames.folder / "counts.txt"
    splits = pd.DataFrame(
        {"video_id": NAMES, "split": ["train"] * len(TAUGHT) + ["validation"] * len(TOLD)}
    )
    inputs = {
        "frames": frames,
        "counts": counts,
        "splits": splits,
        "shape": SHAPE,
        "training": training,
        "seed": 3,
        "device": "cpu",
        "checkpoints": frames.folder / "checkpoints",
    }
    wanted = ["forwarded", "splits", "shape", "training", "seed", "device", "checkpoints"]
    made = SequentialRunner().run(
        pipeline(
            [
                node(forward, ["frames", "counts"], "forwarded"),
                node(train_autoencoder_node, wanted, "autoencoder"),
                node(lambda model, counts: forward(model, counts), ["autoencoder", "counts"], "m"),
            ]
        ),
        DataCatalog({name: MemoryDataset(each, "assign") for name, each in inputs.items()}),
    )
    return made["m"].load(), [int(line) for line in counts.read_text().split()]


@pytest.mark.slow
def test_the_nodes_of_a_run_are_called_once_and_not_once_per_process(tmp_path):
    frames = UnevenFrames(tmp_path)
    _, called_in = draw_again_by_nodes(frames, in_two(THREES))
    assert called_in == [os.getpid()] * 2
    assert len(set(frames.noted("read"))) == 2
