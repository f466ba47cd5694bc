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
from tiktok_virality.stages.screen_words import (
    Line,
    ScreenReader,
    evenly_spread,
    largest_lines,
    merge_lines,
)

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


def readings(*told: tuple[str, float]) -> list[str]:
    merged = merge_lines(Line(text, 0.9, 0.05, seconds) for text, seconds in told)
    return [line["text"] for line in merged]


def test_lines_that_differ_by_a_number_are_two():
    assert readings(("DAY 1 OF 30", 1.0), ("DAY 2 OF 30", 2.0)) == ["DAY 1 OF 30", "DAY 2 OF 30"]


def test_lines_of_one_still_that_are_alike_are_two_and_stay_two():
    lists = [("add the sugar now", "add the sugar too")] * 2
    told = [(text, float(at)) for at, pair in enumerate(lists) for text in pair]
    assert readings(*told) == ["add the sugar now", "add the sugar too"]


def test_spaces_and_capitals_make_no_other_line():
    assert len(readings(("DARK NIGHT", 1.0), ("darknight", 2.0))) == 1


def test_the_largest_lines_are_read_in_their_order_and_shapes_are_none():
    assert largest_lines(np.array([0.02, 0.05, 0.9, 0.03, 0.04]), 3) == [1, 3, 4]
    assert largest_lines(np.array([0.9]), 3) == []


def test_a_screen_full_of_print_costs_the_largest_lines_only():
    reader = ScreenReader(ScreenParameters(most_lines=2))
    reader.setup()
    picture = Image.new("RGB", (288, 512), (30, 60, 110))
    draw = ImageDraw.Draw(picture)
    for index, (line, size) in enumerate([("small", 14), ("LARGE", 36), ("tiny", 14), ("BIG", 36)]):
        draw.text((20, 60 + 80 * index), line, fill="white", font=ImageFont.load_default(size))
    (outcome,) = reader([still_item("a", np.asarray(picture).transpose(2, 0, 1).copy())])
    assert columns(outcome)["text"] == "LARGE\nBIG"


def test_a_shape_as_large_as_the_picture_is_no_letter(reader):
    picture = Image.new("RGB", (360, 640), (30, 60, 110))
    ImageDraw.Draw(picture).text((40, 0), "O", fill="white", font=ImageFont.load_default(560))
    (outcome,) = reader([still_item("a", np.asarray(picture).transpose(2, 0, 1).copy())])
    assert columns(outcome)["text"] == ""


def test_without_the_package_the_error_names_both_ways_out(monkeypatch):
    monkeypatch.setattr(text_encoder, "find_spec", lambda name: None)
    with pytest.raises(WeightsError, match=r"tiktok_virality\[ocr\]") as error:
        text_encoder.require_ocr()
    assert "text.screen.enabled: false" in str(error.value)
