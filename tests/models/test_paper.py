"""The published ensemble, counted on the meta device."""

from __future__ import annotations

import torch

from tiktok_virality.models.paper import PublishedEnsemble


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_the_published_ensemble_has_2_228_625_922_parameters_in_four_parts():
    with torch.device("meta"):
        model = PublishedEnsemble()
    assert count(model.visual) == 2_218_237_696
    assert count(model.audio) == 8_811_264
    assert count(model.head) == 263_169
    assert count(model.unused_head) == 1_313_793
    assert count(model) == 2_228_625_922


def test_it_reads_the_last_state_and_seven_whisper_states_of_a_batch():
    with torch.device("meta"):
        views = PublishedEnsemble()(torch.empty(2, 64, 128, 72), torch.empty(2, 7, 512))
    assert views.shape == (2,)
