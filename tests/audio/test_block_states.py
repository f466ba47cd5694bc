"""Whisper's states around its blocks, averaged over a clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.audio.test_speech_stage import InMemory, item
from tiktok_virality.execution import Done, Failed
from tiktok_virality.models.whisper_encoding import (
    clip_block_states,
    encode,
    load_whisper,
    log_mel,
)
from tiktok_virality.models.whisper_windows import cut_windows
from tiktok_virality.stages.published import BlockStateReader


@pytest.fixture(scope="module")
def whisper(checkpoint):
    return load_whisper(checkpoint, "cpu", "full")


def test_the_last_of_seven_states_is_what_the_encoder_gives_before_its_norm(whisper, sound):
    waveform = sound("jfk_speech.flac")
    states = clip_block_states(whisper, waveform)
    assert states.shape == (7, 512)
    (window,) = cut_windows(0, len(waveform), [])
    outputs: list[torch.Tensor] = []
    hook = whisper.encoder.ln_post.register_forward_pre_hook(
        lambda module, inputs: outputs.append(inputs[0])
    )
    with torch.inference_mode():
        encode(whisper.encoder, log_mel(whisper, waveform, window)[None])
    hook.remove()
    expected = outputs[0][0, : window.states].mean(dim=0)
    torch.testing.assert_close(states[-1], expected, atol=1e-3, rtol=1e-3)
    assert not torch.allclose(states[0], states[-1], atol=0.1)


def test_a_clip_of_two_windows_is_averaged_over_both(whisper, sound):
    waveform = sound("jfk_speech.flac")
    long = np.concatenate([waveform] * 3)
    assert len(cut_windows(0, len(long), [])) == 2
    once, thrice = clip_block_states(whisper, waveform), clip_block_states(whisper, long)
    assert torch.corrcoef(torch.stack([once[-1], thrice[-1]]))[0, 1] > 0.9


def test_a_waveform_without_samples_fails_alone(checkpoint, sound):
    reader = BlockStateReader(checkpoint, "full", "cpu")
    reader.setup()
    jfk = sound("jfk_speech.flac")
    failed, done = reader([item("empty", InMemory(jfk[:0])), item("jfk", InMemory(jfk))])
    assert isinstance(failed, Failed)
    assert failed.reason == "empty waveform"
    assert isinstance(done, Done)
    assert np.asarray(done.columns["tokens"]).shape == (7, 512)
