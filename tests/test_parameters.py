"""Parameters: every environment is valid, and what is wrong is named."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest
from kedro.config import OmegaConfigLoader

from tiktok_virality.hooks import ParameterHooks
from tiktok_virality.parameters import check_parameters
from tiktok_virality.schema import ParameterError
from tiktok_virality.settings import CONFIG_LOADER_ARGS
from tiktok_virality.training.published import PublishedFaults, PublishedParameters

ROOT = Path(__file__).resolve().parents[1]
PIPELINES = (
    "collection",
    "demo",
    "ingestion",
    "audio",
    "visual",
    "modeling",
    "published",
    "reporting",
    "tuning",
    "study",
    "truth",
)
ENVIRONMENTS = ("base", "demo", "truth", "paper", "paper_100", "gpu", "ray")


def loader_of(env: str) -> OmegaConfigLoader:
    return OmegaConfigLoader(str(ROOT / "conf"), env=env, **CONFIG_LOADER_ARGS)


def parameters_of(env: str) -> dict[str, Any]:
    return dict(loader_of(env)["parameters"])


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_parameters_of_every_environment_are_valid(env):
    check_parameters(parameters_of(env))


@pytest.mark.parametrize("block", ["visual.training", "modeling.training", "published.training"])
def test_where_a_training_runs_reaches_its_node(block):
    """It names no training, so a dump leaves it out; the nodes must have it all the same."""
    loader = loader_of("ray")
    name, _ = block.split(".")
    asked = dict(loader["parameters"])
    training = {**asked[name]["training"], "processes": 2, "restarts": 1}
    loader["parameters"] = {**asked, name: {**asked[name], "training": training}}
    ParameterHooks().after_context_created(SimpleNamespace(config_loader=loader))
    given = loader["parameters"][name]["training"]
    assert (given["processes"], given["restarts"]) == (2, 1)
    assert given["engine"]["type"] == "ray"


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
    assert parameters.published.take_part
    assert parameters.published.training.learning_rate == 1e-3
    assert parameters.published.faults == PublishedFaults(channels_as_tokens=True)
    assert parameters.evaluation.scheme == "holdout"


def test_a_parameter_that_has_moved_is_told_where_it_is():
    raw = parameters_of("base")
    raw["audio"]["waveforms"] = {"silence_dbfs": -50}
    with pytest.raises(ParameterError, match=r"audio.waveforms: .*it is ingestion.waveforms now"):
        check_parameters(raw)


def test_every_100th_frame_is_all_that_paper_100_changes():
    every_200th, every_100th = parameters_of("paper"), parameters_of("paper_100")
    assert every_100th["visual"]["sampling"]["every_nth"] == 100
    every_100th["visual"]["sampling"]["every_nth"] = 200
    assert every_100th == every_200th


@pytest.mark.parametrize("env", ["base", "demo", "truth"])
def test_the_published_models_and_faults_are_off_unless_asked_for(env):
    published = check_parameters(parameters_of(env)).published
    assert published == PublishedParameters()
    assert not published.take_part
    assert not any(published.faults.model_dump().values())


def test_base_trains_within_a_budget_and_the_paper_environment_on_whole_epochs():
    for env, is_bounded in (("base", True), ("paper", False)):
        parameters = check_parameters(parameters_of(env))
        trainings = (
            parameters.visual.training,
            parameters.modeling.training,
            parameters.modeling.fine_tuning,
        )
        assert [each.max_steps is not None for each in trainings] == [is_bounded] * 3
        assert (parameters.visual.training.max_validation_clips is not None) == is_bounded


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


@pytest.mark.parametrize("shard", ["0/4", "5/4", "x", "1/2/3"])
def test_a_shard_that_is_none_is_named_before_any_work(shard):
    with pytest.raises(ParameterError, match=f"shard: .*given: '{shard}'"):
        check_parameters({**parameters_of("base"), "shard": shard})


def test_a_shard_is_read():
    assert check_parameters({**parameters_of("base"), "shard": "3/64"}).shard == "3/64"
