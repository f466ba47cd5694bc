"""Models, tables and checkpoints that come back otherwise than they were written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from kedro.io import DatasetError

from tests.training.test_training import PARAMETERS, SPEC, TRAIN, VALIDATION, run, same_weights
from tiktok_virality.datasets import ArrayArchive, ParquetTable, SafetensorsModel, SkopsBaselines
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.training import launcher
from tiktok_virality.training.predictors import train_predictor

STEP = 7
"""One bit is flipped in every so many bytes of a file, one at a time."""


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def flip_in_the_middle(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


HARMS = (cut, empty, zero, flip_in_the_middle)


@pytest.mark.parametrize("harm", HARMS)
def test_a_damaged_model_is_refused_and_named_until_it_is_written_again(tmp_path, harm):
    weights = {"model.weight": torch.arange(64.0)}
    model, stored = TrainedModel(spec=SPEC, state=weights), SafetensorsModel(filepath=str(tmp_path))
    for name in ("weights.safetensors", "model.json", ".checksums.json"):
        stored.save(model)
        harm(tmp_path / name)
        with pytest.raises(DatasetError, match=f"{tmp_path} is damaged: .*`kedro run` writes it"):
            stored.load()
    stored.save(model)
    assert torch.equal(stored.load().state["model.weight"], weights["model.weight"])


def test_a_model_that_was_being_written_when_the_run_was_killed_is_refused(tmp_path, monkeypatch):
    stored = SkopsBaselines(filepath=str(tmp_path))
    stored.save({})

    def killed(*_) -> None:
        (tmp_path / "ridge.skops").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("tiktok_virality.models.baselines.save_baselines", killed)
    with pytest.raises(KeyboardInterrupt):
        stored.save({})
    with pytest.raises(DatasetError, match=r"ridge\.skops is not what was written"):
        stored.load()


def outcomes(path: Path, load: Callable[[], object], is_same: Callable) -> dict[str, int]:
    """Flip one bit at a time; count what is refused, what comes back the same, and what not."""
    content, expected = path.read_bytes(), load()
    found = {"refused": 0, "same": 0, "other": 0}
    for position in range(0, len(content), STEP):
        flipped = bytearray(content)
        flipped[position] ^= 0x10
        path.write_bytes(flipped)
        try:
            came = load()
        except DatasetError:
            found["refused"] += 1
        else:
            found["same" if is_same(came, expected) else "other"] += 1
    path.write_bytes(content)
    return found


def test_a_flipped_bit_in_arrays_is_refused_or_matters_to_nothing(tmp_path):
    stored = ArrayArchive(filepath=str(tmp_path / "novelty_model.npz"))
    rng = np.random.default_rng(0)
    stored.save({"mean": rng.normal(size=60), "video_id": np.array(["a", "b"])})

    def is_same(one, other) -> bool:
        return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)

    found = outcomes(tmp_path / "novelty_model.npz", stored.load, is_same)
    assert found["other"] == 0
    assert found["refused"] > 0.5 * sum(found.values())


def test_a_flipped_bit_in_the_cells_of_a_table_is_refused(tmp_path):
    """What is left are names and notes of its footer, which Parquet gives no checksum."""
    stored = ParquetTable(filepath=str(tmp_path / "manifest.parquet"))
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"video_id": [f"clip {n}" for n in range(400)], "views": rng.random(400)})
    stored.save(table)

    def is_same(one, other) -> bool:
        cells = {name: list(one[name]) for name in one if name in other}
        return all(values == list(other[name]) for name, values in cells.items())

    found = outcomes(tmp_path / "manifest.parquet", stored.load, is_same)
    assert found["other"] == 0
    assert found["refused"] > 0.5 * sum(found.values())


@pytest.mark.parametrize("harm", [cut, empty, zero])
def test_a_damaged_table_is_said_and_written_again(tmp_path, harm):
    stored = ParquetTable(filepath=str(tmp_path / "manifest.parquet"))
    stored.save(pd.DataFrame({"video_id": ["a"]}))
    harm(tmp_path / "manifest.parquet")
    with pytest.raises(DatasetError, match=r"manifest\.parquet is damaged"):
        stored.load()
    stored.save(pd.DataFrame({"video_id": ["a"]}))
    assert list(stored.load()["video_id"]) == ["a"]


@pytest.mark.slow
@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["last.ckpt", "best.ckpt", "finished.json"])
def test_a_training_with_a_damaged_checkpoint_comes_to_the_same_model(
    tmp_path, monkeypatch, name, harm
):
    whole = train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path / "whole"))

    def interrupt(model, epoch, losses) -> None:
        if epoch == 3 and name == "last.ckpt":
            raise RuntimeError("the power went out")

    with monkeypatch.context() as patched:
        patched.setattr(launcher, "log_epoch", interrupt)
        try:
            train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path / "cut"))
        except RuntimeError:
            assert name == "last.ckpt"
    harm(run(tmp_path / "cut").folder / name)
    resumed = train_predictor(SPEC, TRAIN, VALIDATION, PARAMETERS, run(tmp_path / "cut"))
    assert same_weights(whole, resumed)
    assert len(resumed.history) == len(whole.history)
