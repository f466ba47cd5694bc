from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from matplotlib.figure import Figure
from plotly import graph_objects as go

from tests.app.transforms import SayName
from tests.conftest import ROOT
from tests.ingestion.conftest import PICTURES
from tests.stages.stores import without_workers
from tiktok_virality.app.commands import main
from tiktok_virality.datasets import VideoFolder
from tiktok_virality.execution import StageItem, StagePlan
from tiktok_virality.parameters import check_parameters
from tiktok_virality.pipelines.ingestion import create_pipeline
from tiktok_virality.serving.project import open_catalog

IDS = [f"71065943122924536{number}" for number in range(75, 81)]
ANN, LONER = IDS[0], IDS[3]
"""A video of a creator of two, and one of a creator of one."""

CREATORS = ["ann.of.the.sea", "ann.of.the.sea", "bo", "cy", "basketball", "eve"]
LIST = "forgotten.json"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shelf: Path) -> Path:
    """A project after every pipeline has run, with small results."""
    project = tmp_path_factory.mktemp("project")
    for name in ("pyproject.toml", "conf"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, project / name)
    (project / "src").mkdir()
    fill_raw(project / "data" / "01_raw", shelf)
    with contextlib.chdir(project):
        catalog = open_without_workers(project)
        ingest(catalog)
        fill_stages(catalog)
        fill_results(catalog)
    return project


@pytest.fixture
def project(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "project"
    shutil.copytree(whole, copy)
    monkeypatch.chdir(copy)
    return copy


def fill_raw(raw: Path, shelf: Path) -> None:
    (raw / "videos").mkdir(parents=True)
    for video_id, color in zip(IDS, PICTURES, strict=True):
        shutil.copy(shelf / f"{color}.mp4", raw / "videos" / f"{video_id}.mp4")
    shutil.copy(shelf / "red.mp4", raw / "videos" / "copy.mp4")  # is rejected, naming its twin
    posts = [
        {
            "id": int(video_id),
            "url": f"https://www.tiktok.com/@{creator}/video/{video_id}",
            "views": "1.2K",
            "creator": creator,
            "caption": f"with @{CREATORS[0]}" if creator == "eve" else "my basketball day",
        }
        for video_id, creator in zip(IDS, CREATORS, strict=True)
    ]
    (raw / "metadata.json").write_text(json.dumps([*posts, {"id": "copy", "views": 1}]))
    (raw / "trending.json").write_text(json.dumps({"collector": posts}))
    pd.DataFrame(posts).to_csv(raw / "metadata.csv", index=False)
    pd.DataFrame(posts).to_parquet(raw / "metadata.parquet")
    notes = raw / "collection"
    notes.mkdir(exist_ok=True)
    (notes / "archive.txt").write_text("".join(f"tiktok {each}\n" for each in IDS))
    found = [
        {"video_id": each, "topic": "Dance", "hashtag": "dance", "found_at": "2024-05-01T00:00:00Z"}
        for each in IDS
    ]
    (notes / "found_videos.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    for video_id in IDS:
        info = {"id": video_id, "view_count": 5}
        (raw / "videos" / f"{video_id}.info.json").write_text(json.dumps(info))
        (raw / "videos" / f"{video_id}.en.vtt").write_text("WEBVTT")


def open_without_workers(project: Path) -> DataCatalog:
    catalog = open_catalog(project, None)
    for name in ("video_probes", "fingerprints", "waveforms", "frames", "audio_embeddings"):
        without_workers(catalog[name])
    return catalog


def ingest(catalog: DataCatalog) -> None:
    from kedro.config import OmegaConfigLoader

    raw = OmegaConfigLoader("conf", base_env="base", default_run_env="base")["parameters"]
    parameters = check_parameters(raw)
    for name in ("limits", "stills", "motion", "waveforms", "duplicates", "horizons", "splits"):
        catalog[f"params:ingestion.{name}"] = MemoryDataset(getattr(parameters.ingestion, name))
    catalog["params:evaluation"] = MemoryDataset(parameters.evaluation)
    catalog["params:visual.sampling"] = MemoryDataset(parameters.visual.sampling)
    catalog["params:seed"] = MemoryDataset(1)
    SequentialRunner().run(create_pipeline(), catalog)


def fill_stages(catalog: DataCatalog) -> None:
    items = [StageItem(video_id=each, digest=each[-2:], payload=None) for each in IDS]
    for name in ("waveforms", "frames", "audio_embeddings"):
        absent = {"copy": f"like '{ANN}'"} if name == "frames" else {}
        plan = StagePlan(items=items, absent=absent, transform=SayName(ANN), batch_size=2)
        catalog.save(name, plan)


def fill_results(catalog: DataCatalog) -> None:
    said = {"text": "words", "language": "en"}
    table = pd.DataFrame({"video_id": IDS, "y_pred": 1.0, **said})
    for name in ("transcripts", "predictions", "point_predictions", "novelty", "demo_clips"):
        catalog.save(name, table)
    times = ["2024-05-01T00:00:00Z", "2024-05-08T00:00:00Z"]
    snapshots = [(each, time, 5) for each in IDS for time in times]
    columns = ["video_id", "captured_at", "views"]
    catalog.save("count_snapshots", pd.DataFrame(snapshots, columns=columns))
    names = np.asarray(IDS)
    catalog.save("reconstructions", {"video_id": names, "original": np.zeros((6, 2, 3))})
    catalog.save("ground_truth", {"world": "mixed", "clips": {each: {"r": 1} for each in IDS}})
    catalog.save("corpus_summary", {"rejected": [{"video_id": ANN}]})
    catalog.save("report", f"<p>{ANN}</p>")
    catalog.save("verdict", {"sentence": "no clip is named here"})
    catalog.save("coverage_plot", go.Figure(go.Scatter(x=[1], y=[1], text=[ANN])))
    catalog.save("clip_sample_picture", Figure())
    model = Path("data/06_models/ensemble")
    model.mkdir(parents=True)
    (model / "model.json").write_text("{}")


def run(*arguments: str):
    return CliRunner().invoke(main, ["forget", *arguments])


def contents(project: Path) -> dict[str, str]:
    """Return all that any file under ``data`` holds, as text, tables and parts decoded."""
    return {
        str(path.relative_to(project)): str(path) + decoded(path)
        for path in (project / "data").rglob("*")
        if path.is_file() and path.name != LIST
    }


def decoded(path: Path) -> str:
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return f"{table.to_pylist()}{table.schema.metadata}"
    if path.suffix == ".arrow":
        return str(pa.ipc.open_file(path.read_bytes()).read_all().to_pylist())
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return str({name: arrays[name].tolist() for name in arrays.files})
    return path.read_bytes().decode("latin-1")


def holding(project: Path, *names: str) -> list[str]:
    return sorted(
        name for name, text in contents(project).items() if any(each in text for each in names)
    )


def removed(output: str) -> dict[str, str]:
    lines = output.split("These have learned")[0].split("Not looked")[0].splitlines()[1:]
    return dict(line.split(maxsplit=1) for line in lines)


def test_a_forgotten_video_is_in_no_file_and_the_output_says_where_it_was(project):
    before = holding(project, ANN)
    result = run("--video", ANN)
    assert result.exit_code == 0, result.output
    assert holding(project, ANN) == []
    assert "forget list already" in run("--video", ANN).output
    assert len(before) > 20
    lost = removed(result.output)
    single = {
        *("videos", "manifest", "posts", "splits", "waveforms", "frames", "transcripts"),
        *("audio_embeddings", "predictions", "novelty", "demo_clips"),
        *("reconstructions", "ground_truth", "video_probes", "fingerprints"),
    }
    assert {name: lost[name] for name in single} == dict.fromkeys(single, "1")
    assert (lost["count_snapshots"], lost["video_metadata"]) == ("2", "5")
    assert lost["video_links"] == "1"
    whole = {"report", "corpus_summary", "coverage_plot", "clip_sample_picture"}
    assert all(lost[name].startswith("the whole file") for name in whole)
    assert "verdict" not in lost
    assert (project / "data/08_reporting/verdict.json").exists()


def test_nothing_of_the_others_is_lost(project):
    others = [each for each in IDS if each != ANN]
    raw = project / "data/01_raw"
    run("--video", ANN)
    catalog = open_catalog(project, None)
    for name in ("manifest", "splits", "predictions", "demo_clips"):
        assert catalog.load(name)["video_id"].isin(others).sum() == len(others)
    for name in ("waveforms", "frames", "audio_embeddings"):
        table = catalog.load(name)
        assert sorted(table.ids) == others
        assert table.row(others[0])["text"].startswith(f"I am {others[0]}, not forgotten-")
    assert len(list(raw.glob("videos/*.en.vtt"))) == len(others)
    posts = json.loads((raw / "metadata.json").read_text())
    assert [str(post["id"]) for post in posts] == [*others, "copy"]
    assert pd.read_csv(raw / "metadata.csv", dtype="str")["id"].tolist() == others
    rejects = catalog.load("rejected_videos").set_index("video_id")["detail"]
    assert rejects["copy"].startswith("byte for byte the file of 'forgotten-")


@pytest.mark.parametrize("name", [f"@{CREATORS[0]}", "Ann.Of.The.SEA "])
def test_a_forgotten_creator_takes_all_videos_along_and_is_named_nowhere(project, name):
    result = run("--creator", name)
    assert result.exit_code == 0, result.output
    assert holding(project, *IDS[:2], CREATORS[0]) == []
    assert removed(result.output)["manifest"] == "2"
    noted = (project / "data/01_raw" / LIST).read_text()
    assert not any(name in noted for name in (*IDS[:2], CREATORS[0]))


def test_a_creator_who_is_called_like_a_thing_leaves_the_thing_in_the_captions(project):
    assert run("--creator", "basketball").exit_code == 0
    manifest = pd.read_parquet(project / "data/03_primary/manifest.parquet")
    assert "basketball" not in set(manifest["creator_id"])
    assert manifest["caption"].tolist().count("my basketball day") == 4


def test_what_was_forgotten_is_not_taken_again(project, shelf, caplog):
    assert run("--creator", CREATORS[0], "--video", LONER).exit_code == 0
    fill_again = project / "data" / "01_raw"
    shutil.rmtree(fill_again / "videos")
    fill_raw(fill_again, shelf)
    catalog = open_without_workers(project)
    ingest(catalog)
    gone = [*IDS[:2], LONER]
    for name in ("posts", "manifest", "rejected_videos"):
        assert not set(catalog.load(name)["video_id"]) & set(gone)
    assert "3 posts or files are on the forget list" in caplog.text


def test_models_that_learned_from_it_are_named_and_stay(project):
    path = project / "data/03_primary/splits.parquet"
    splits = pd.read_parquet(path)
    learned, unseen = splits["video_id"].iloc[[0, 1]]
    for video_id in (learned, unseen):  # every clip is tested, so every clip has taught
        assert "ensemble" in run("--dry-run", "--video", video_id).output
    held_out = splits["video_id"] == unseen
    splits.assign(split=splits["split"].mask(held_out, "test")).drop(columns="fold").to_parquet(
        path
    )
    assert "cannot unlearn" not in run("--dry-run", "--video", unseen).output
    run("--video", learned)
    assert (project / "data/06_models/ensemble/model.json").exists()


def test_what_was_stopped_half_way_is_done_by_the_same_command(project, monkeypatch):
    left = project / f"data/01_raw/videos/.{ANN}.mp4.0a1b.tmp"
    left.write_bytes(b"half")
    whole_forget = VideoFolder.forget

    def stopped(self, names, *, dry_run=False):
        if not dry_run:
            raise KeyboardInterrupt
        return whole_forget(self, names, dry_run=True)

    with monkeypatch.context() as patch:
        patch.setattr(VideoFolder, "forget", stopped)
        assert run("--creator", CREATORS[0]).exit_code != 0
    assert holding(project, ANN)
    assert run("--creator", CREATORS[0]).exit_code == 0
    assert holding(project, *IDS[:2], CREATORS[0]) == []


def test_a_dry_run_says_the_same_and_changes_nothing(project):
    before = contents(project)
    dry = run("--video", ANN, "--dry-run")
    assert contents(project) == before
    assert not (project / "data/01_raw" / LIST).exists()
    assert removed(dry.output) == removed(run("--video", ANN).output)


def test_a_video_that_nobody_knows_is_an_error_and_is_not_noted(project):
    result = run("--video", "7999999999999999999")
    assert result.exit_code == 1
    assert "Nothing is known of 7999999999999999999" in result.output
    assert run("--video", "a").exit_code == 1
    assert (project / "data/08_reporting/report.html").exists()
    assert not (project / "data/01_raw" / LIST).exists()


def test_a_post_and_its_file_are_forgotten_together_whatever_their_names(project):
    videos = project / "data/01_raw/videos"
    (videos / f"{LONER}.mp4").rename(videos / "Some title.mp4")
    metadata = project / "data/01_raw/metadata.json"
    posts = json.loads(metadata.read_text())
    next(post for post in posts if str(post["id"]) == LONER)["file"] = "Some title.mp4"
    metadata.write_text(json.dumps(posts))
    assert run("--video", LONER).exit_code == 0
    assert holding(project, LONER, "Some title") == []


def test_a_wrong_environment_is_named(project):
    result = run("--env", "dmeo", "--video", ANN)
    assert result.exit_code == 1
    assert "no environment 'dmeo'; there are base, demo" in result.output


def test_asking_for_nothing_is_refused(project):
    assert run().exit_code == 2
