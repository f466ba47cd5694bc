"""`docs/modalities.md`, done to the letter: a modality is added, and every table has it."""

from __future__ import annotations

import json

import pandas as pd

from tests.session.conftest import FirstRun, added_text


def test_the_page_names_an_encoder_a_block_of_parameters_and_a_line_of_wiring() -> None:
    assert [kind for kind, _, _ in added_text()] == ["file", "file", "append"]


def test_an_added_modality_has_its_own_rows_in_the_leaderboard(first_run: FirstRun) -> None:
    rows = json.loads((first_run.data / "08_reporting" / "leaderboard.json").read_text())
    of_test = {row["model"]: row for row in rows if row["split"] == "test"}
    assert of_test["colour"]["role"] == "modality"
    assert of_test["ridge_colour"]["modality"] == "colour"


def test_an_added_modality_is_shown_to_the_ensemble(first_run: FirstRun) -> None:
    model = first_run.data / "06_models" / "ensemble" / "model.json"
    assert json.loads(model.read_text())["spec"]["token_sizes"]["colour"] == 6


def test_an_added_modality_is_in_the_report(first_run: FirstRun) -> None:
    page = (first_run.data / "08_reporting" / "report.html").read_text()
    assert "colour (mean colours)" in page
    assert "colour Transformer" in page


def test_an_added_modality_predicts_every_clip(first_run: FirstRun) -> None:
    table = pd.read_parquet(first_run.data / "07_model_output" / "predictions.parquet")
    manifest = pd.read_parquet(first_run.data / "03_primary" / "manifest.parquet")
    assert set(table.loc[table["model"] == "colour", "video_id"]) == set(manifest["video_id"])
