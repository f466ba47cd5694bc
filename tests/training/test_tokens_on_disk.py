"""Tokens that do not fit into memory are read as batches are made, and teach the same."""

from __future__ import annotations

import dataclasses
import logging
import pickle

import numpy as np
import pytest
import torch

from tests.stages.items import AsTheyAre
from tests.stages.stores import stage_store
from tests.training.test_training import SHAPE, SIZES, TRAIN, VALIDATION, run, same_weights
from tiktok_virality.datasets import part_files
from tiktok_virality.execution import StageItem, StagePlan
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.models.transformer import Standardise
from tiktok_virality.training.corpus import LabelledClips, read_tokens, together
from tiktok_virality.training.data import token_batches
from tiktok_virality.training.parameters import TrainingParameters
from tiktok_virality.training.predictors import train_predictor

CLIPS = together(TRAIN, VALIDATION)
NEEDED_GB = 4e-9 * sum(rows.size for clip in CLIPS.tokens for rows in clip.tokens.values())


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The tokens of the clips as a stage stores them, in part files."""
    stored = {}
    for name in SIZES:
        items = [
            StageItem(video_id=key, digest=key, payload={"tokens": np.float16(clip.tokens[name])})
            for key, clip in zip(CLIPS.ids, CLIPS.tokens, strict=True)
            if name in clip.tokens
        ]
        store = stage_store(tmp_path_factory.mktemp(name))
        store.save(StagePlan(items=items, transform=AsTheyAre(), batch_size=7))
        stored[name] = store.load()
    return stored


def read(clips: LabelledClips, tables, memory_gb: float) -> LabelledClips:
    return dataclasses.replace(clips, tokens=read_tokens(clips.ids, tables, memory_gb=memory_gb))


@pytest.mark.parametrize("share", [1.0, 0.999])
def test_tokens_are_kept_where_they_fit_and_stay_on_disk_where_not(tables, caplog, share):
    with caplog.at_level(logging.INFO):
        clips = read_tokens(CLIPS.ids, tables, memory_gb=share * NEEDED_GB * (1 + 1e-9))
    is_kept = share == 1.0
    assert ("they stay on disk" in caplog.text) == (not is_kept)
    for clip, known in zip(clips, CLIPS.tokens, strict=True):
        assert list(clip.tokens) == list(known.tokens)
        assert (clip.tokens["visual"] is clip.tokens["visual"]) == is_kept
        for name, tokens in known.tokens.items():
            assert clip.tokens[name].dtype == np.float32
            np.testing.assert_array_equal(clip.tokens[name], np.float16(tokens))


def test_an_epoch_reads_each_clip_once_and_is_planned_without_reading_any(tables, monkeypatch):
    """A corpus that no memory holds is not read through to learn how long its clips are."""
    read = []
    kept = part_files.check_value

    def note(path, value, *rest) -> None:
        read.append(value.shape)
        kept(path, value, *rest)

    monkeypatch.setattr(part_files, "check_value", note)
    on_disk = read_tokens(CLIPS.ids, tables, memory_gb=1e-12)
    batches = token_batches(on_disk, CLIPS.log_views, SIZES, batch_size=8, seed=0)
    assert not read
    list(batches.loader(0, 1))
    assert len(read) == sum(len(clip.tokens) for clip in CLIPS.tokens)
    lengths = [max(map(len, clip.tokens.values())) for clip in CLIPS.tokens]
    assert batches.buckets.lengths.tolist() == lengths


def test_batches_from_disk_are_drawn_from_the_whole_corpus(tables):
    """Not from one part file after the other: what lies side by side comes apart."""
    on_disk = read_tokens(CLIPS.ids, tables, memory_gb=1e-12)
    buckets = token_batches(on_disk, CLIPS.log_views, SIZES, batch_size=8, seed=0).buckets
    one, two = ([number for batch in buckets for number in batch] for _ in range(2))
    assert sorted(one) == sorted(two) == list(range(len(on_disk)))
    assert one != two
    assert abs(np.corrcoef(one, range(len(one)))[0, 1]) < 0.3


def test_what_is_on_disk_travels_to_other_processes_as_a_reference(tables):
    (clip,) = read_tokens(CLIPS.ids[:1], tables, memory_gb=1e-12)
    again = pickle.loads(pickle.dumps(clip))
    np.testing.assert_array_equal(again.tokens["visual"], clip.tokens["visual"])


def test_a_model_learns_the_same_from_disk(tables, tmp_path):
    spec = ModelSpec(kind="late_fusion", transformer=SHAPE, token_sizes=SIZES)
    parameters = TrainingParameters(epochs=2, batch_size=8, learning_rate=0.01)
    kept, on_disk = (
        train_predictor(
            spec,
            *(read(each, tables, memory_gb) for each in (TRAIN, VALIDATION)),
            parameters,
            run(tmp_path / str(memory_gb)),
        )
        for memory_gb in (1.0, 1e-12)
    )
    assert same_weights(kept, on_disk)


def test_scales_found_part_by_part_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    tokens = torch.from_numpy(rng.normal(30, 2, (50, 4)).astype(np.float32))
    tokens[:, 3] = 5.0
    scale = Standardise(4)
    scale.fit(torch.split(tokens, [1, 30, 12, 7]))
    torch.testing.assert_close(scale.mean, tokens.mean(dim=0))
    torch.testing.assert_close(scale.deviation[:3], tokens[:, :3].std(dim=0, correction=0))
    assert scale.deviation[3] == 1
