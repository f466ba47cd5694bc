"""The sound pipeline, from stored waveforms to embeddings, by worker processes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from tests.sound.sounds import noise, sine, sound_item
from tests.stages.items import AsTheyAre
from tests.stages.stores import stage_store
from tiktok_virality.datasets import StageStore
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.models.sound_configs import SoundParameters
from tiktok_virality.pipelines.sound import create_pipeline


@pytest.fixture
def catalog(tmp_path: Path) -> DataCatalog:
    waveforms = StageStore(
        filepath=str(tmp_path / "waveforms"),
        file_columns={"samples": {"suffix": ".wav"}},
        max_failure_share=0.5,
    )
    embeddings = stage_store(tmp_path / "sound")
    silence = noise(0)
    sounds = {"tone": sine(220, 2), "noise": noise(1), "broken": silence, "mute": silence}
    items = [sound_item(name, samples) for name, samples in sounds.items()]
    in_process = Resources(in_process=True)
    waveforms.save(
        StagePlan(
            items=items,
            transform=AsTheyAre(absent={"mute": "no audio track"}, broken={"broken": "unreadable"}),
            resources=in_process,
        )
    )
    return DataCatalog(
        {
            "waveforms": waveforms,
            "params:sound": MemoryDataset(SoundParameters()),
            "sound_embeddings": embeddings,
        }
    )


def test_waveforms_become_embeddings_once_and_what_has_none_is_accounted_for(catalog):
    SequentialRunner().run(create_pipeline(), catalog)
    embeddings = catalog.load("sound_embeddings")
    assert sorted(embeddings.ids) == ["noise", "tone"]
    assert embeddings.absent == {"broken": "no waveform: unreadable", "mute": "no audio track"}
    tokens = embeddings.row("tone")["tokens"]
    assert (len(tokens), tokens.dtype) == (4, np.float16)
    SequentialRunner().run(create_pipeline(), catalog)
    report = catalog["sound_embeddings"].last_report
    assert (report.done, report.skipped) == (0, 2)
