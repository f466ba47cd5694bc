"""Parameters: every environment is valid, and what is wrong is named."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest

from tiktok_virality.configuration import ProjectConfigLoader
from tiktok_virality.hooks import ParameterHooks
from tiktok_virality.parameters import check_parameters
from tiktok_virality.schema import ParameterError
from tiktok_virality.settings import CONFIG_LOADER_ARGS

ROOT = Path(__file__).resolve().parents[1]
PIPELINES = (
    "collection",
    "demo",
    "ingestion",
    "audio",
    "visual",
    "published",
    "modeling",
    "reporting",
    "tuning",
    "study",
    "truth",
)
ENVIRONMENTS = ("base", "demo", "truth", "paper", "paper_100", "paper_demo", "gpu")


def loader_of(env: str) -> ProjectConfigLoader:
    return ProjectConfigLoader(str(ROOT / "conf"), env=env, **CONFIG_LOADER_ARGS)


def parameters_of(env: str) -> dict[str, Any]:
    return dict(loader_of(env)["parameters"])


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_parameters_of_every_environment_are_valid(env):
    check_parameters(parameters_of(env))


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_what_an_environment_leaves_out_has_its_default_in_every_pipeline(env):
    loader = loader_of(env)
    ParameterHooks().after_context_created(SimpleNamespace(config_loader=loader))
    for name in PIPELINES:
        pipeline = import_module(f"tiktok_virality.pipelines.{name}").create_pipeline()
        wanted = {each for each in pipeline.inputs() if each.startswith("params:")}
        for key in wanted:
            value = loader["parameters"]
            for part in key.removeprefix("params:").split("."):
                assert part in value, f"{name} needs {key}"
                value = value[part]


def test_the_paper_environment_holds_the_published_settings():
    parameters = check_parameters(parameters_of("paper"))
    assert parameters.visual.sampling.every_nth == 200
    assert (parameters.visual.sampling.height, parameters.visual.sampling.width) == (128, 72)
    assert parameters.visual.autoencoder.hidden == 64
    assert parameters.visual.training.learning_rate == 1e-4
    assert parameters.modeling.training.learning_rate == 1e-3


def test_the_published_models_need_the_modalities_that_they_read():
    raw = {**parameters_of("paper"), "modalities": ["audio", "text"]}
    with pytest.raises(ParameterError, match="needs the modalities visual, audio; visual does not"):
        check_parameters(raw)


def test_the_published_models_are_off_and_without_faults_unless_they_are_asked_for():
    base, paper = (check_parameters(parameters_of(env)).published for env in ("base", "paper"))
    assert not base.enabled
    assert not any(base.faults.model_dump().values())
    assert paper.enabled
    assert [name for name, on in paper.faults.model_dump().items() if on] == ["channels_as_tokens"]


def test_every_fault_is_named_with_its_full_key():
    raw = parameters_of("base")
    raw["visual"]["sampling"]["shrink"] = 0
    raw["audio"]["whisper"]["modle"] = "tiny"
    del raw["seed"]
    with pytest.raises(ParameterError) as caught:
        check_parameters(raw)
    message = str(caught.value)
    assert "visual.sampling.shrink: Input should be greater than or equal to 1" in message
    assert "audio.whisper.modle: there is no such parameter (given: 'tiny')" in message
    assert "seed: Field required" in message


@pytest.mark.parametrize("name", PIPELINES)
def test_kedro_can_resolve_the_types_of_every_node(name):
    """Where it cannot, it hands raw dictionaries to the node, silently."""
    module = import_module(f"tiktok_virality.pipelines.{name}")
    for node in module.create_pipeline().nodes:
        assert "return" in get_type_hints(node.func), node.name
