"""A modality is one idea: named where it is wired, and nowhere behind its tokens."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.test_parameters import parameters_of
from tiktok_virality import hooks
from tiktok_virality.modalities import MODALITIES, with_needs
from tiktok_virality.parameters import check_parameters
from tiktok_virality.pipelines import modalities as every_modality
from tiktok_virality.pipelines import modeling, reporting, truth, tuning
from tiktok_virality.schema import ParameterError

SOURCE = Path(hooks.__file__).parent
NAMED_BY = (
    "modalities.py",
    "demo/",  # plants them, and knows by which sense each is known
    "media/",
    "stages/",
    *(f"pipelines/{name}/" for name in MODALITIES),
    *("models/whisper_", "models/image_", "models/sound_", "models/text_", "models/voice_"),
    *("models/paper.py", "models/weights.py"),  # the published model has just these two
)
"""Encoders, their wiring, and the demo."""


def named_in(path: Path) -> set[str]:
    """Return strings of code that are the name of a modality, or of what is its own."""
    tree = ast.parse(path.read_text())
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    own = {f"{name}_{what}" for name in MODALITIES for what in ("embeddings", "model")}
    return {text for text in texts if isinstance(text, str)} & (set(MODALITIES) | own)


def test_no_module_behind_the_tokens_names_a_modality():
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if not place.startswith(NAMED_BY):
            found[place] = named_in(path)
    assert {place: names for place, names in found.items() if names} == ALLOWED


ALLOWED: dict[str, set[str]] = {
    # columns and kinds that are everyday words
    "datasets/overlooked_columns.py": {"text", "image", "sound"},
    "datasets/post_formats.py": {"text"},
    "pipelines/ingestion/card.py": {"text"},
    "pipelines/ingestion/card_plots.py": {"text"},
    "pipelines/ingestion/nodes.py": {"sound"},
    "pipelines/reporting/nodes.py": {"text"},
    # names and columns of the planted corpus
    "pipelines/truth/checks.py": {"visual"},
    "pipelines/truth/planted.py": {"sound"},
    "pipelines/truth/worlds.py": {"visual"},
}


@pytest.mark.parametrize("alone", MODALITIES)
def test_pipelines_of_one_modality_touch_no_other(alone):
    others = {
        f"{name}_{what}" for name in MODALITIES if name != alone for what in ("model", "embeddings")
    }
    for module in (modeling, reporting, tuning, truth):
        made = module.create_pipeline(modalities=[alone])
        assert not others & {name.rpartition(".")[2] for name in made.datasets()}


def test_what_a_modality_needs_is_made_with_it():
    assert set(with_needs(["text"])) == {"audio", "text"}
    made = every_modality.create_pipeline(["text"]).all_outputs()
    assert {"audio_embeddings", "text_embeddings"} <= made
    assert "image_embeddings" not in made


def test_pipelines_are_made_anew_for_the_modalities_that_take_part(monkeypatch):
    registered = {"modeling": modeling.create_pipeline(), "ingestion": None}
    monkeypatch.setattr(hooks, "pipelines", registered)
    loader = {"parameters": {"modalities": ["audio"]}, "globals": {}}
    hooks.PipelineHooks().after_context_created(SimpleNamespace(config_loader=loader))
    assert "audio_model" in registered["modeling"].all_outputs()
    assert "visual_model" not in registered["modeling"].all_outputs()
    assert registered["ingestion"] is None


def test_the_published_models_are_wired_where_they_take_part(monkeypatch):
    registered = {"modeling": modeling.create_pipeline(), "reporting": reporting.create_pipeline()}
    monkeypatch.setattr(hooks, "pipelines", registered)
    parameters = {"modalities": list(MODALITIES), "published": {"take_part": True}}
    loader = {"parameters": parameters, "globals": {}}
    hooks.PipelineHooks().after_context_created(SimpleNamespace(config_loader=loader))
    assert "published_predictions" in registered["modeling"].all_outputs()
    assert "published_table" in registered["reporting"].all_outputs()


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("all", tuple(MODALITIES)),
        ("audio", ("audio",)),
        ("text+visual", ("visual", "text")),
        (["text", "visual"], ("visual", "text")),
    ],
)
def test_modalities_are_named_as_a_list_or_in_one_word(given, taken):
    assert check_parameters(parameters_of("base") | {"modalities": given}).modalities == taken


def test_an_unknown_modality_is_refused_by_name():
    with pytest.raises(ParameterError, match="no modality \\['smell'\\]"):
        check_parameters({"modalities": ["audio", "smell"]})
