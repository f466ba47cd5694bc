"""What only the user may know is in no file that a run writes, and in nothing that it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.session.conftest import LOG, SECRET, Project, make_project

GIVEN = ("conf/local/credentials.yml", "conf/demo/credentials.yml")


def tellers(project: Project) -> Iterator[Path]:
    """Yield the files in which the secret can be read, those where it was planted left out."""
    for path in sorted(project.path.rglob("*")):
        given = path.relative_to(project.path).as_posix() in GIVEN
        if path.is_file() and not given and SECRET.encode() in path.read_bytes():
            yield path


def test_a_whole_run_writes_no_secret(first_run):
    project = first_run.project
    names = {path.name for path in project.path.rglob("*")}
    assert {"mlflow.db", "report.html", "dataset_card.html", "catalog.json", LOG} <= names
    assert any(path.suffix == ".arrow" for path in project.path.rglob("*"))
    assert list(tellers(project)) == []


@pytest.mark.slow
def test_nor_does_one_that_fails(tmp_path):
    project = make_project(tmp_path)
    runs = {
        "plain": ["run"],
        "collection": ["run", "--pipeline", "collection"],
        "demo": ["run", "--env", "demo", "--params", "demo.clips=0"],
    }
    for arguments in runs.values():
        assert project.kedro(*arguments, check=False).returncode != 0
    places = project.path / "conf" / "local" / "globals.yml"
    places.write_text("data: s3://clips/folder\n")
    said = project.kedro("run", check=False)
    assert said.returncode != 0
    assert "http://127.0.0.1:9 does not answer" in said.stdout
    places.unlink()
    catalog = project.path / "conf" / "local" / "catalog.yml"
    catalog.write_text(
        "count_snapshots:\n  type: pandas.ParquetDataset\n"
        "  filepath: s3://bucket/snapshots.parquet\n  credentials: s3\n"
    )
    assert project.kedro("run", check=False).returncode != 0
    assert "Traceback" in (project.path / LOG).read_text()
    assert list(tellers(project)) == []
