"""The tuning pipeline: reads the training split alone, and writes settings that can be used."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro_datasets.json import JSONDataset

from tests.tuning.clips import SIZES, clips
from tests.tuning.test_search import BRIEF, TUNING
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.pipelines.tuning import create_pipeline
from tiktok_virality.schema import SPLITS
from tiktok_virality.training.corpus import ClipTokens, LabelledClips, ModelInput
from tiktok_virality.training.parameters import EnsembleSettings, ModelingParameters

MODELING = ModelingParameters(
    transformer=TransformerConfig(width=8, layers=1, heads=2, feedforward=16),
    training=BRIEF,
    fine_tuning=BRIEF,
)


def poisoned(seed: int) -> LabelledClips:
    """Clips whose truth and tokens are NaN: whoever reads them is found out."""
    sound = clips(12, seed=seed)
    nothing = [
        ClipTokens(tokens={name: np.full((2, n), np.nan, np.float32) for name, n in SIZES.items()})
        for _ in sound.tokens
    ]
    return dataclasses.replace(sound, tokens=nothing, log_views=np.full(12, np.nan))


def corpus(others: Any) -> ModelInput:
    splits = {split: others(seed) for seed, split in enumerate(SPLITS, start=1)}
    return ModelInput(
        splits={**splits, "train": clips(54)}, token_sizes=SIZES, fingerprint=others.__name__
    )


def run(model_input: ModelInput, folder: Path) -> dict[str, Any]:
    inputs = {
        "model_input": model_input,
        "params:modeling": MODELING,
        "params:modeling.transformer": MODELING.transformer,
        "params:modeling.training": MODELING.training,
        "params:modeling.fine_tuning": MODELING.fine_tuning,
        "params:tuning": TUNING.model_copy(update={"trials": 2, "folds": 2}),
        "params:seed": 7,
        "params:device": "cpu",
        "searches": folder,
    }
    tuned_parameters = JSONDataset(filepath=str(folder / "tuned_parameters.json"))
    catalog = DataCatalog(
        {
            **{key: MemoryDataset(value, copy_mode="assign") for key, value in inputs.items()},
            "tuned_parameters": tuned_parameters,
        }
    )
    searching = create_pipeline().only_nodes_with_tags("tuning")
    found = SequentialRunner().run(searching, catalog)
    return {
        "tuned_settings": found["tuned_settings"].load(),
        "tuned_parameters": tuned_parameters.load(),
    }


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> dict[str, Any]:
    return run(corpus(poisoned), tmp_path_factory.mktemp("searches"))


def without_time(tuned: dict[str, Any]) -> dict[str, Any]:
    return {name: {**search, "minutes": None} for name, search in tuned.items()}


def test_both_models_get_the_same_budget(result):
    tuned = result["tuned_parameters"]
    assert set(tuned) == {"ensemble", "gradient_boosting"}
    for search in tuned.values():
        assert search["wanted"] == 2
        assert search["finished"] + search["given_up"] + search["failed"] == 2
        assert np.isfinite([*search["best"]["folds"], *search["default"]["folds"]]).all()
        assert len(search["best"]["folds"]) == 2


def test_nothing_but_the_training_split_is_read(result, tmp_path):
    def sound(seed: int) -> LabelledClips:
        return clips(12, seed=seed)

    other = run(corpus(sound), tmp_path)
    assert without_time(other["tuned_parameters"]) == without_time(result["tuned_parameters"])


def test_the_settings_that_are_written_are_those_that_were_found(result):
    written = yaml.safe_load(result["tuned_settings"])
    best = result["tuned_parameters"]["ensemble"]["best"]["settings"]
    assert list(written) == ["modeling"]
    settings = {name: written["modeling"][name] for name in EnsembleSettings.model_fields}
    assert EnsembleSettings.model_validate(settings).model_dump(mode="json") == best


def test_the_written_file_is_a_whole_block_that_keeps_what_was_not_searched(result):
    written = ModelingParameters.model_validate(
        yaml.safe_load(result["tuned_settings"])["modeling"]
    )
    searched = set(EnsembleSettings.model_fields)
    assert written.model_dump(exclude=searched) == MODELING.model_dump(exclude=searched)


def test_the_clips_are_assembled_as_modeling_does():
    first = create_pipeline().nodes[0]
    assert first.outputs == ["model_input", "divisions"]
    assert {"manifest", "splits", "visual_embeddings", "audio_embeddings"} <= set(first.inputs)
