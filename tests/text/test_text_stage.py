"""The text stage: words by field, in any script, the same alone and in any batch."""

from __future__ import annotations

import numpy as np
import pytest

from tiktok_virality.execution import Done, Outcome, StageItem
from tiktok_virality.models import text_encoder
from tiktok_virality.models.text_configs import TextParameters
from tiktok_virality.models.text_encoder import find_text_checkpoint
from tiktok_virality.schema import ParameterError, WeightsError
from tiktok_virality.stages.text import FIELDS, WRITING, TextReader, writing

BLOCK = 512 + len(WRITING)


@pytest.fixture(scope="module")
def reader() -> TextReader:
    parameters = TextParameters()
    reader = TextReader(parameters, find_text_checkpoint(parameters))
    reader.setup()
    return reader


def item(video_id: str = "a", **texts: str) -> StageItem:
    payload = dict.fromkeys(FIELDS, "") | texts
    return StageItem(video_id=video_id, digest=video_id, payload=payload)


def token(outcome: Outcome) -> np.ndarray:
    assert isinstance(outcome, Done)
    return outcome.columns["tokens"][0].astype(np.float32)


def block(outcome: Outcome, field: str) -> np.ndarray:
    place = FIELDS.index(field)
    return token(outcome)[place * BLOCK : (place + 1) * BLOCK]


def test_the_same_words_stand_in_the_block_of_their_field(reader):
    (spoken,) = reader([item(transcript="a cat on the sofa")])
    (written,) = reader([item(caption="a cat on the sofa")])
    np.testing.assert_array_equal(block(spoken, "transcript"), block(written, "caption"))
    assert not block(spoken, "caption").any()
    assert not block(written, "transcript").any()


def test_a_translation_is_nearer_than_other_words(reader):
    texts = ("how to cook pasta at home", "cómo cocinar pasta en casa", "the rocket left the moon")
    one, same, other = (block(reader([item(caption=text)])[0], "caption")[:512] for text in texts)
    assert one @ same > one @ other + 0.3


def test_a_clip_alone_and_in_a_batch_gives_the_same_numbers(reader):
    items = [item("a", caption="wait for it"), item("b", screen="OLD CRIME", caption="猫")]
    for each, outcome in zip(items, reader(items), strict=True):
        np.testing.assert_array_equal(token(reader([each])[0]), token(outcome))


@pytest.mark.parametrize("text", ["猫在沙发上睡觉", "القطة تنام", "😀😀😀", "ж" * 5000, "\u2028"])
def test_every_script_gives_finite_numbers(reader, text):
    (outcome,) = reader([item(caption=text)])
    assert np.isfinite(token(outcome)).all()


def test_all_words_are_kept_for_models_that_read_words(reader):
    (outcome,) = reader([item(caption="wait for it", screen="LEG DAY")])
    assert isinstance(outcome, Done)
    assert outcome.columns["words"] == "wait for it\nLEG DAY"
    assert outcome.columns["screen"] == "LEG DAY"


def test_writing_tells_how_a_text_is_written():
    shown = dict(zip(WRITING, writing("WOW 10!!").tolist(), strict=True))
    assert shown["present"] == 1
    assert shown["log_words"] == pytest.approx(np.log1p(2))
    assert (shown["capitals"], shown["digits"]) == (3 / 8, 2 / 8)
    assert (shown["questions"], shown["exclamations"], shown["symbols"]) == (0, 2 / 8, 0)
    assert writing("😀")[WRITING.index("symbols")] == 1
    assert not writing("").any()


@pytest.mark.parametrize("text", ["जिम में पैरों का दिन", "猫、睡觉。", "مُدَرِّس", "a_b%c…"])
def test_vowel_signs_and_commas_of_any_script_are_no_symbols(text):
    assert writing(text)[WRITING.index("symbols")] == 0


def test_what_decides_the_result_names_weights_and_cut(reader):
    other = TextReader(TextParameters(max_characters=10), reader.checkpoint)
    assert other.identity() != reader.identity()
    assert reader.identity()["checkpoint"] == reader.checkpoint.digest


def test_sentence_transformers_must_be_told_which_model(monkeypatch):
    monkeypatch.setattr(text_encoder, "find_spec", lambda name: object())
    with pytest.raises(ParameterError, match=r"text\.model"):
        find_text_checkpoint(TextParameters(library="sentence_transformers"))


def test_without_the_library_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(text_encoder, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"tiktok_virality\[sentences\]"):
        find_text_checkpoint(TextParameters(library="sentence_transformers", model="any"))


def test_a_model_that_is_nowhere_ends_in_ways_out(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(text_encoder, "find_spec", lambda name: object())
    parameters = TextParameters(library="sentence_transformers", model="nobody/nothing")
    with pytest.raises(WeightsError, match=r"text\.library: use"):
        find_text_checkpoint(parameters)
