"""Words on screen: read where they are, once, and found nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.stages.stills import patches, still_item
from tiktok_virality.execution import Done, Outcome
from tiktok_virality.models import text_encoder
from tiktok_virality.models.text_configs import ScreenParameters
from tiktok_virality.schema import WeightsError
from tiktok_virality.stages.screen_words import Line, ScreenReader, evenly_spread, merge_lines

pytest.importorskip("rapidocr", reason="extra `ocr` is not installed")


def written(*lines: str, colour: tuple[int, int, int] = (30, 60, 110)) -> np.ndarray:
    """Return a portrait picture with lines of white words, uint8 [3, 512, 288]."""
    picture = Image.new("RGB", (288, 512), colour)
    draw = ImageDraw.Draw(picture)
    for index, line in enumerate(lines):
        draw.text((20, 80 + 60 * index), line, fill="white", font=ImageFont.load_default(32))
    return np.asarray(picture).transpose(2, 0, 1).copy()


@pytest.fixture(scope="module")
def reader() -> ScreenReader:
    reader = ScreenReader(ScreenParameters())
    reader.setup()
    return reader


def columns(outcome: Outcome) -> dict:
    assert isinstance(outcome, Done)
    return dict(outcome.columns)


def test_words_are_read_from_top_to_bottom(reader):
    (outcome,) = reader([still_item("a", written("HOT PAN", "ADD BUTTER"))])
    assert columns(outcome)["text"] == "HOT PAN\nADD BUTTER"


def test_a_picture_without_words_has_none(reader):
    (outcome,) = reader([still_item("a", patches(1, 512, 288))])
    assert columns(outcome)["text"] == ""
    assert columns(outcome)["lines"] == []


def test_a_line_that_stays_is_told_once_with_its_times(reader):
    pictures = [written("GO"), written("WAIT FOR IT"), written("GO"), written("WAIT FOR IT")]
    (outcome,) = reader([still_item("a", *pictures)])
    (line,) = columns(outcome)["lines"]
    assert (line["text"], line["first_seconds"], line["last_seconds"]) == ("WAIT FOR IT", 1, 3)
    assert 0.03 < line["height"] < 0.12


def test_a_clip_alone_and_in_a_batch_reads_the_same(reader):
    items = [still_item("a", written("LEG DAY")), still_item("b", written("OLD CRIME", "GOLD"))]
    together = reader(items)
    for item, outcome in zip(items, together, strict=True):
        assert columns(reader([item])[0]) == columns(outcome)


def test_stills_are_taken_from_the_middle_of_equal_parts():
    assert evenly_spread(8, 2) == [2, 6]
    assert evenly_spread(8, 1) == [4]
    assert evenly_spread(2, 5) == [0, 1]


def test_readings_that_nearly_agree_are_one_line_as_it_was_read_best():
    lines = [
        Line("synthetic democlip", 0.9, 0.05, 1.0),
        Line("synthetic demo clip", 0.99, 0.05, 2.0),
    ]
    (merged,) = merge_lines(lines)
    assert merged["text"] == "synthetic demo clip"
    assert (merged["first_seconds"], merged["last_seconds"]) == (1.0, 2.0)


def test_without_the_package_the_error_names_both_ways_out(monkeypatch):
    monkeypatch.setattr(text_encoder, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"tiktok_virality\[ocr\]") as error:
        text_encoder.require_ocr()
    assert "text.screen.enabled: false" in str(error.value)
