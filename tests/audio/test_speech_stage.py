from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
import pytest

from tiktok_virality.execution import Done, Failed, StageItem
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.schema import SAMPLE_RATE_HZ, MediaError
from tiktok_virality.stages.speech import SpeechReader


@dataclass
class InMemory:
    samples: np.ndarray

    def load(self):
        return {"samples": self.samples}


class Torn:
    def load(self):
        raise MediaError("unreadable", "the file is torn")


def item(video_id, payload):
    return StageItem(video_id=video_id, digest="0", payload=payload)


@pytest.fixture(scope="module")
def reader(checkpoint):
    reader = SpeechReader(WhisperParameters(), checkpoint, "cpu")
    reader.setup()
    return reader


def test_a_broken_waveform_fails_alone(reader, sound):
    jfk = sound("jfk_speech.flac")
    outcomes = reader(
        [
            item("torn", Torn()),
            item("jfk", InMemory(jfk)),
            item("empty", InMemory(jfk[:0])),
            item("broken", InMemory(np.full(100, np.nan, np.float32))),
        ]
    )
    by_id = {outcome.video_id: outcome for outcome in outcomes}
    assert {k: o.reason for k, o in by_id.items() if isinstance(o, Failed)} == {
        "torn": "unreadable",
        "empty": "empty waveform",
        "broken": "broken waveform",
    }
    assert isinstance(by_id["jfk"], Done)
    assert "ask not what your country" in by_id["jfk"].columns["text"]


def test_a_batch_of_broken_waveforms_only_is_no_accident(reader):
    assert [type(outcome) for outcome in reader([item("torn", Torn())])] == [Failed]


def test_columns_are_what_a_stage_store_keeps(reader):
    (outcome,) = reader([item("hush", InMemory(np.zeros(SAMPLE_RATE_HZ, np.float32)))])
    columns = dict(outcome.columns)
    tokens = columns.pop("tokens")
    assert (tokens.dtype, tokens.shape) == (np.float16, (2, 512))
    assert columns == {
        "token_seconds": 0.5,
        "text": "",
        "language": None,
        "segments": [],
        "has_speech": False,
        "no_speech_prob": None,
        "compression_ratio": None,
        "words_per_second": 0.0,
        "duration_seconds": 1.0,
    }


def test_the_identity_holds_what_decides_the_result_and_nothing_else(tmp_path):
    weights = Checkpoint(path=tmp_path / "a.pt", digest="a")
    moved = Checkpoint(path=tmp_path / "b.pt", digest="a")
    other = Checkpoint(path=tmp_path / "a.pt", digest="b")
    usual = SpeechReader(WhisperParameters(), weights).identity()
    assert SpeechReader(WhisperParameters(batch_size=2), moved, "cpu").identity() == usual
    assert SpeechReader(WhisperParameters(), other).identity() != usual
    assert SpeechReader(WhisperParameters(seconds_per_token=1), weights).identity() != usual
    assert SpeechReader(WhisperParameters(precision="full"), weights).identity() != usual


def test_a_reader_travels_to_a_worker(checkpoint):
    reader = SpeechReader(WhisperParameters(), checkpoint, "cpu")
    assert pickle.loads(pickle.dumps(reader)) == reader
