"""The audio pipeline on real clips: ffmpeg, the voice detector, Whisper and the stage stores."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.media.encoding import ffmpeg, h264, picture, tone
from tests.stages.stores import stage_store
from tiktok_virality.datasets import StageStore, VideoFolder
from tiktok_virality.execution import StagePlan
from tiktok_virality.models import whisper_encoding
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.models.whisper_encoding import encode
from tiktok_virality.pipelines.audio import create_pipeline
from tiktok_virality.stages.probing import video_items
from tiktok_virality.stages.waveforms import WaveformExtractor


@pytest.fixture(scope="module")
def folder(tmp_path_factory, real_clips):
    """Six videos: speech, music, no track, silence, a broken file, and a longer one."""
    folder = tmp_path_factory.mktemp("videos")
    speech = ["-i", real_clips / "jfk_speech.flac"]
    ffmpeg(*picture(11), *speech, *h264(), "-c:a", "aac", folder / "speech.mp4")
    ffmpeg(*picture(2), *tone(2, volume=0.2), *h264(), "-c:a", "aac", folder / "tone.mp4")
    ffmpeg(*picture(1), *h264(), folder / "mute.mp4")
    ffmpeg(*picture(1), *tone(1, volume=0), *h264(), "-c:a", "aac", folder / "silent.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def stores(folder, checkpoint, tmp_path_factory):
    """What the pipeline leaves behind."""
    place = tmp_path_factory.mktemp("data")
    seconds = {"speech": 11.0, "tone": 2.0, "mute": 1.0, "silent": 1.0, "broken": 1.0}
    manifest = pd.DataFrame(
        {
            "video_id": list(seconds),
            "content_hash": list(seconds),
            "duration_seconds": list(seconds.values()),
        }
    )
    transcripts = MemoryDataset()
    waveforms = stage_store(place / "waveforms", file_columns={"samples": {"suffix": ".wav"}})
    hearing = StagePlan(
        items=video_items(VideoFolder(filepath=str(folder)).load()), transform=WaveformExtractor()
    )
    waveforms.save(hearing)
    embeddings = StageStore(filepath=str(place / "embeddings"))
    catalog = DataCatalog(
        {
            "manifest": MemoryDataset(manifest),
            "params:audio.whisper": MemoryDataset(WhisperParameters(weights=checkpoint.path)),
            "params:seed": MemoryDataset(1),
            "params:device": MemoryDataset("cpu"),
            "waveforms": waveforms,
            "audio_embeddings": embeddings,
            "transcripts": transcripts,
        }
    )
    encoded = []

    def encode_and_count(encoder, mel):
        encoded.append(len(mel))
        return encode(encoder, mel)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whisper_encoding, "encode", encode_and_count)
        SequentialRunner().run(create_pipeline(), catalog)
    return {
        "encoder passes": sum(encoded),
        "waveforms": waveforms.load(),
        "embeddings": embeddings.load(),
        "transcripts": transcripts.load(),
    }


def test_clips_with_sound_are_embedded_and_the_shortest_come_first(stores):
    assert stores["embeddings"].ids == ["tone", "speech"]
    assert stores["embeddings"].row("speech", ["tokens"])["tokens"].shape[1] == 512


def test_clips_without_sound_are_absent_with_the_reason(stores):
    assert stores["embeddings"].absent == {
        "mute": "no audio track",
        "silent": "silent",
        "broken": "no waveform: unreadable",
    }


def test_only_clips_with_sound_cost_an_encoder_pass_and_no_more_than_one(stores):
    assert stores["encoder passes"] == len(stores["embeddings"].ids) == 2


def test_transcripts_are_a_table_for_people(stores):
    table = stores["transcripts"].set_index("video_id")
    assert "ask what you can do for your country" in table.loc["speech", "text"]
    assert bool(table.loc["speech", "has_speech"])
    assert table.loc["tone", "text"] == ""
    assert not table.loc["tone", "has_speech"]
    segments = json.loads(table.loc["speech", "segments"])
    assert {"start_seconds", "end_seconds", "text"} == set(segments[0])


def test_nodes_are_named_and_tagged():
    tags = {node.name: node.tags for node in create_pipeline().nodes}
    assert tags == {
        "audio.read_speech": {"audio", "gpu"},
        "audio.tabulate_transcripts": {"audio", "cpu"},
    }
