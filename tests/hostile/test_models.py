"""A file of a model is data: what could run a program is refused, wherever a model is loaded."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from safetensors import SafetensorError

from tiktok_virality.datasets import ArrayArchive, ParquetTable, SkopsBaselines
from tiktok_virality.datasets.post_formats import read_parquet
from tiktok_virality.models.image_configs import ImageParameters
from tiktok_virality.models.image_networks import load_image_network
from tiktok_virality.models.sound_configs import TaggerParameters
from tiktok_virality.models.sound_tagger import find_tagger
from tiktok_virality.models.text_configs import TextParameters
from tiktok_virality.models.text_encoder import load_text_encoder
from tiktok_virality.models.trained import load_trained
from tiktok_virality.models.weights import Checkpoint, given_checkpoint
from tiktok_virality.models.whisper_encoding import load_whisper
from tiktok_virality.schema import ProjectError, WeightsError
from tiktok_virality.serving.bundle import CATALOG, CORPUS, PARAMETERS, open_bundle


class Program:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, int]]:
        return os.open, (str(self.mark), os.O_CREAT)


@dataclass(frozen=True)
class Planted:
    """A folder for files, and the program that none of them may run."""

    folder: Path

    @property
    def program(self) -> Program:
        return Program(self.folder / "was run")

    @property
    def has_run(self) -> bool:
        return self.program.mark.exists()

    def pickled(self, name: str) -> Path:
        path = self.folder / name
        path.write_bytes(pickle.dumps({"model_state_dict": self.program, "dims": {}}))
        return path

    def by_torch(self, name: str) -> Path:
        path = self.folder / name
        torch.save({"state_dict": {"weight": torch.zeros(1)}, "program": self.program}, path)
        return path


@pytest.fixture
def planted(tmp_path: Path) -> Planted:
    return Planted(tmp_path)


@pytest.fixture(autouse=True)
def _nothing_has_run(planted: Planted):
    yield
    assert not planted.has_run


def test_the_planted_program_runs_where_nobody_is_careful(tmp_path):
    careless = Planted(tmp_path / "careless")
    careless.folder.mkdir()
    pickle.loads(careless.pickled("model.pkl").read_bytes())
    assert careless.has_run
    careless.program.mark.unlink()
    torch.load(careless.by_torch("model.pt"), weights_only=False)
    assert careless.has_run


@pytest.mark.parametrize("write", ["pickled", "by_torch"])
@pytest.mark.parametrize("name", ["base.pt", "model.ckpt", "model.bin"])
def test_whisper_loads_no_pickle(planted, write, name):
    path = getattr(planted, write)(name)
    with pytest.raises(WeightsError, match="cannot be loaded"):
        load_whisper(given_checkpoint(path, "audio.whisper.weights"), device="cpu")


@pytest.mark.parametrize("write", ["pickled", "by_torch"])
@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_an_image_network_loads_no_pickle(planted, write, name):
    parameters = ImageParameters(model="resnet10t")
    checkpoint = given_checkpoint(getattr(planted, write)(name), "image.weights")
    with pytest.raises(WeightsError, match="no weights of timm"):
        load_image_network(parameters, checkpoint)


@pytest.mark.parametrize("write", ["pickled", "by_torch"])
def test_open_clip_loads_no_pickle(planted, write):
    pytest.importorskip("open_clip", reason="the extra `clip` is not installed")
    parameters = ImageParameters(library="open_clip", model="ViT-B-32/openai")
    checkpoint = given_checkpoint(getattr(planted, write)("model.pt"), "image.weights")
    with pytest.raises(WeightsError, match="no weights of open_clip"):
        load_image_network(parameters, checkpoint)


def test_a_torchscript_archive_is_no_checkpoint(planted):
    class Double(torch.nn.Module):
        def forward(self, x):
            return 2 * x

    path = planted.folder / "scripted.pt"
    torch.jit.script(Double()).save(path)
    with pytest.raises(WeightsError):
        load_whisper(given_checkpoint(path, "audio.whisper.weights"), device="cpu")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "1_Dense/model.pkl", "state.ckpt"])
def test_a_folder_of_a_text_encoder_holds_no_pickle(planted, name):
    folder = planted.folder / "encoder"
    (folder / "1_Dense").mkdir(parents=True)
    (folder / name).write_bytes(planted.pickled("x").read_bytes())
    parameters = TextParameters(library="sentence_transformers", model=str(folder))
    pytest.importorskip("sentence_transformers", reason="the extra `sentences` is not installed")
    with pytest.raises(WeightsError, match="may hold a pickle"):
        load_text_encoder(parameters, Checkpoint(path=folder, digest=""))


@pytest.mark.parametrize("write", ["pickled", "by_torch"])
def test_a_tagger_is_an_onnx_network_or_nothing(planted, write):
    pytest.importorskip("onnxruntime", reason="the extra `tagger` is not installed")
    path = getattr(planted, write)("tagger.onnx")
    with pytest.raises(WeightsError, match="no ONNX network"):
        find_tagger(TaggerParameters(path=path))


def test_a_tagger_takes_no_weights_from_other_files(planted):
    pytest.importorskip("onnxruntime", reason="the extra `tagger` is not installed")
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    secret = planted.folder / "elsewhere" / "secret.bin"
    secret.parent.mkdir()
    secret.write_bytes(bytes(4 * 16_000))
    weights = onnx.TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[16_000])
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=str(secret))
    heard = helper.make_tensor_value_info("wave", TensorProto.FLOAT, [1, 16_000])
    said = helper.make_tensor_value_info("said", TensorProto.FLOAT, [1, 16_000])
    node = helper.make_node("Add", ["wave", "w"], ["said"])
    graph = helper.make_graph([node], "leak", [heard], [said], [weights])
    path = planted.folder / "models" / "tagger.onnx"
    path.parent.mkdir()
    opset = [helper.make_opsetid("", 17)]
    path.write_bytes(helper.make_model(graph, opset_imports=opset).SerializeToString())
    with pytest.raises(WeightsError, match="no ONNX network"):
        find_tagger(TaggerParameters(path=path))


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt"])
def test_checkpoints_of_training_are_weights_alone(planted, name):
    from tests.training.test_training import PARAMETERS, SPEC, TRAIN, VALIDATION, run
    from tiktok_virality.training.launcher import FINISHED_NAME
    from tiktok_virality.training.predictors import train_predictor

    parameters = PARAMETERS.model_copy(update={"epochs": 1})
    train_predictor(SPEC, TRAIN, VALIDATION, parameters, run(planted.folder))
    [checkpoint] = planted.folder.rglob(name)
    held = torch.load(checkpoint, weights_only=True)
    torch.save(held | {"program": planted.program}, checkpoint)
    if name == "last.ckpt":
        (checkpoint.parent / FINISHED_NAME).unlink()  # so that training goes on from it
    train_predictor(SPEC, TRAIN, VALIDATION, parameters, run(planted.folder))
    assert checkpoint.with_name(name + ".damaged").exists()  # set aside, and trained anew


def test_baselines_are_trusted_types_alone(planted):
    folder = planted.folder / "baselines"
    folder.mkdir()
    (folder / "baselines.json").write_text(json.dumps({"ridge": []}))
    path = folder / "ridge.skops"
    path.write_bytes(pickle.dumps(planted.program))
    with pytest.raises(Exception, match="zip"):
        SkopsBaselines(filepath=str(folder)).load()
    joblib.dump(planted.program, path)
    with pytest.raises(Exception, match="zip"):
        SkopsBaselines(filepath=str(folder)).load()
    for module, name, loader in (("os", "system", "FunctionNode"), ("os", "open", "TypeNode")):
        state = {
            "__class__": name,
            "__module__": module,
            "__loader__": loader,
            "content": {"module_path": module, "function": name},
            "__id__": 1,
            "protocol": 2,
            "_skops_version": "0.16",
        }
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("schema.json", json.dumps(state))
        with pytest.raises(Exception, match=r"[Uu]ntrusted"):
            SkopsBaselines(filepath=str(folder)).load()


def test_archives_hold_no_objects(planted):
    path = planted.folder / "learned.npz"
    objects = np.empty(1, object)
    objects[0] = planted.program
    np.savez(path, rows=objects)
    with pytest.raises(Exception, match="allow_pickle"):
        ArrayArchive(filepath=str(path)).load()


@pytest.mark.parametrize("write", ["pickled", "by_torch"])
def test_a_trained_model_is_safetensors(planted, write):
    folder = planted.folder / "model"
    folder.mkdir()
    description = {"spec": {}, "history": [], "target": None}
    (folder / "model.json").write_text(json.dumps(description))
    for name in ("model.safetensors", "weights.safetensors"):
        (folder / name).write_bytes(getattr(planted, write)("x").read_bytes())
    with pytest.raises((SafetensorError, ValueError)):
        load_trained(folder)


def test_parquet_unpickles_nothing(planted):
    """Arrow kept Python types as pickles once: such a table is read as what it stores."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    program = pickle.dumps(planted.program)
    storage = pa.field(
        "id",
        pa.string(),
        metadata={
            "ARROW:extension:name": "arrow.py_extension_type",
            "ARROW:extension:metadata": program.decode("latin-1"),
        },
    )
    schema = pa.schema([storage], metadata={b"pickle": program})
    path = planted.folder / "posts.parquet"
    pq.write_table(pa.table([pa.array(["7106"])], schema=schema), path)
    assert read_parquet(path) == [{"id": "7106"}]
    assert ParquetTable(filepath=str(path)).load()["id"].tolist() == ["7106"]


@pytest.mark.parametrize("kind", ["pickle.PickleDataset", "kedro_datasets.pickle.PickleDataset"])
def test_a_bundle_names_no_dataset_that_unpickles(planted, kind):
    folder = planted.folder / "bundle"
    (folder / "learned").mkdir(parents=True)
    (folder / "learned" / "ensemble").write_bytes(pickle.dumps(planted.program))
    entries = {"ensemble": {"type": kind, "filepath": "learned/ensemble"}}
    (folder / CATALOG).write_text(json.dumps(entries))
    (folder / PARAMETERS).write_text("{}")
    (folder / CORPUS).write_text("{}")
    with pytest.raises(ProjectError, match="which no scorer is packed as"):
        open_bundle(folder)


def test_a_bundle_of_another_version_says_that_it_is_one(tmp_path):
    for name, content in ((CATALOG, {}), (CORPUS, {}), (PARAMETERS, {"audio": {"waveforms": {}}})):
        (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(ProjectError, match=r"(?s)packed by another version.*ingestion.waveforms"):
        open_bundle(tmp_path)


def test_a_bundle_reads_no_files_outside_of_itself(planted):
    folder = planted.folder / "bundle"
    folder.mkdir()
    entries = {"verdict": {"type": "json.JSONDataset", "filepath": "learned/../../secret.json"}}
    (folder / CATALOG).write_text(json.dumps(entries))
    with pytest.raises(ProjectError, match="lies outside of the bundle"):
        open_bundle(folder)


def test_settings_run_nothing(planted):
    """YAML can name Python objects; the settings are read without them."""
    from tiktok_virality.configuration import LOADER_OPTIONS, ProjectConfigLoader

    base = planted.folder / "conf" / "base"
    base.mkdir(parents=True)
    (planted.folder / "conf" / "local").mkdir()
    mark = planted.program.mark
    (base / "parameters.yml").write_text(f"seed: !!python/object/apply:os.mkdir ['{mark}']\n")
    with pytest.raises(Exception, match="python/object"):
        ProjectConfigLoader(base.parent, None, **LOADER_OPTIONS)["parameters"]
