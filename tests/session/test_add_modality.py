"""`docs/modalities.md`, done to the letter: a modality is added, and every table has it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.session.conftest import FirstRun, Project

PAGE = Path(__file__).resolve().parents[2] / "docs" / "modalities.md"
BLOCK = re.compile(r"^```\w+ (file|append)=(\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
END_OF_REGISTRY = '}\n"""Those that there are'


def follow_the_page(project: Path) -> None:
    """Write what the page says into the files that it names."""
    for kind, name, text in BLOCK.findall(PAGE.read_text()):
        file = project / name
        if kind == "file":
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        else:
            before, end, after = file.read_text().partition(END_OF_REGISTRY)
            assert end, f"{file} does not end its registry as expected"
            file.write_text(before + text + end + after)


@pytest.fixture(scope="module")
def with_colour(first_run: FirstRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("colour") / "project"
    shutil.copytree(first_run.project.path, folder)
    follow_the_page(folder)
    Project(folder).run("--env", "demo")
    return folder / "data" / "demo"


def test_the_page_names_an_encoder_a_block_of_parameters_and_a_line_of_wiring() -> None:
    kinds = [kind for kind, _, _ in BLOCK.findall(PAGE.read_text())]
    assert kinds == ["file", "file", "append"]


def test_an_added_modality_has_its_own_rows_in_the_leaderboard(with_colour: Path) -> None:
    rows = json.loads((with_colour / "08_reporting" / "leaderboard.json").read_text())
    of_test = {row["model"]: row for row in rows if row["split"] == "test"}
    assert of_test["colour"]["role"] == "modality"
    assert of_test["ridge_colour"]["modality"] == "colour"


def test_an_added_modality_is_shown_to_the_ensemble(with_colour: Path) -> None:
    spec = json.loads((with_colour / "06_models" / "ensemble" / "model.json").read_text())["spec"]
    assert spec["token_sizes"]["colour"] == 6


def test_an_added_modality_is_in_the_report(with_colour: Path) -> None:
    page = (with_colour / "08_reporting" / "report.html").read_text()
    assert "colour (mean colours)" in page
    assert "colour Transformer" in page


def test_an_added_modality_predicts_every_clip(with_colour: Path) -> None:
    table = pd.read_parquet(with_colour / "07_model_output" / "predictions.parquet")
    manifest = pd.read_parquet(with_colour / "03_primary" / "manifest.parquet")
    assert set(table.loc[table["model"] == "colour", "video_id"]) == set(manifest["video_id"])
