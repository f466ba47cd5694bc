"""The folder `conf`: environments say what differs, and one that does not exist is named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tiktok_virality.configuration import ProjectConfigLoader
from tiktok_virality.schema import ConfigurationError
from tiktok_virality.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "conf", tmp_path / "conf", ignore=shutil.ignore_patterns("local"))
    (tmp_path / "conf" / "local").mkdir()
    return tmp_path / "conf"


def loader_of(conf: Path, env: str | None = None) -> ProjectConfigLoader:
    return ProjectConfigLoader(conf, env, **CONFIG_LOADER_ARGS)


def write(file: Path, content: dict) -> None:
    file.write_text(yaml.safe_dump(content))


@pytest.mark.parametrize("name", ["globals", "mlflow"])
def test_an_empty_environment_changes_nothing(conf, name):
    base = yaml.safe_load((conf / "base" / f"{name}.yml").read_text())
    assert loader_of(conf)[name] == base


def test_a_part_of_a_block_in_globals_leaves_the_rest_of_it(conf):
    write(conf / "local" / "globals.yml", {"posts": {"source": "mine.csv"}})
    loader = loader_of(conf)
    assert loader["globals"]["posts"] == {"source": "mine.csv", "format": None, "columns": {}}
    entry = loader["catalog"]["video_metadata"]
    assert (entry["source"], entry["format"]) == ("mine.csv", None)


def test_a_part_of_the_engine_leaves_the_rest_of_it(conf):
    write(conf / "local" / "globals.yml", {"engine": {"workers": 3}})
    engine = loader_of(conf)["catalog"]["frames"]["engine"]
    assert (engine["type"], engine["workers"]) == ("local", 3)
    assert engine["item_seconds"] and engine["item_gigabytes"]


@pytest.mark.parametrize("env", ["demo", "truth"])
def test_the_globals_of_an_environment_win(conf, env):
    write(conf / "base" / "globals.yml", {"engine": {"type": "other", "workers": 7}, "posts": {}})
    own = yaml.safe_load((conf / env / "globals.yml").read_text())
    loaded = loader_of(conf, env)["globals"]
    assert {key: loaded[key] for key in own} == own
    assert loaded["data"] == f"data/{env}"


def test_one_word_on_the_tracking_store_leaves_how_parameters_are_logged(conf):
    write(conf / "local" / "mlflow.yml", {"tracking": {"experiment": {"name": "mine"}}})
    tracking = loader_of(conf)["mlflow"]["tracking"]
    assert tracking["experiment"]["name"] == "mine"
    assert tracking["params"]["dict_params"]["flatten"] is True


def test_one_credential_leaves_the_others(conf):
    write(conf / "local" / "credentials.yml", {"collection": {"proxy": "http://host:3128"}})
    assert loader_of(conf)["credentials"]["collection"] == {
        "proxy": "http://host:3128",
        "cookies_file": None,
        "creator_key": None,
    }


def test_an_environment_that_does_not_exist_is_named_with_those_that_do(conf):
    (conf / ".hidden").mkdir()
    with pytest.raises(ConfigurationError) as caught:
        loader_of(conf, "nosuch")
    assert (
        "no environment 'nosuch'; there are base, demo, gpu, local, paper, paper_100, truth."
        in str(caught.value)
    )
    assert str(conf / "nosuch") in str(caught.value)


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=f"no folder {tmp_path / 'conf'}.*--conf-source"):
        loader_of(tmp_path / "conf")


def test_without_a_local_environment_base_is_taken(conf):
    (conf / "local").rmdir()
    assert loader_of(conf)["globals"]["data"] == "data"


def test_a_relative_folder_is_read_wherever_python_goes(conf, monkeypatch, tmp_path):
    monkeypatch.chdir(conf.parent)
    loader = loader_of(Path("conf"), "demo")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert loader["parameters"]["seed"] > 0
