"""The autoencoder: its size, its speed-ups against the plain recurrence, and padding."""

from __future__ import annotations

import pytest
import torch

from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.convlstm import (
    ConvLSTMAutoencoder,
    ConvLSTMCell,
    plain_recurrence,
    reconstruction_loss,
)


def small(decode_from: str = "each_state") -> ConvLSTMAutoencoder:
    torch.manual_seed(0)
    return ConvLSTMAutoencoder(ConvLSTMConfig(hidden=6, decode_from=decode_from))


def test_the_published_size_is_1_041_859_parameters():
    model = ConvLSTMAutoencoder(ConvLSTMConfig(hidden=64))
    assert sum(p.numel() for p in model.parameters()) == 1_041_859


@pytest.mark.parametrize("swapped", [False, True])
def test_the_fast_cell_equals_the_plain_recurrence_in_outputs_and_gradients(swapped):
    torch.manual_seed(0)
    cell = ConvLSTMCell(3, 5, 3, swapped=swapped)
    x = torch.rand(2, 4, 3, 7, 6, requires_grad=True)
    results = []
    for run in (cell, lambda value: plain_recurrence(cell, value)):
        output = run(x)
        gradients = torch.autograd.grad(output.square().sum(), [x, *cell.parameters()])
        results.append([output, *gradients])
    for fast, plain in zip(*results, strict=True):
        torch.testing.assert_close(fast, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("decode_from", ["each_state", "last_state"])
def test_padding_a_clip_changes_neither_its_states_nor_what_is_drawn_of_it(decode_from):
    model = small(decode_from).eval()
    clip = torch.rand(1, 4, 3, 8, 6)
    padded = torch.cat([clip, torch.rand(1, 3, 3, 8, 6)], dim=1)
    batch = torch.cat([padded, torch.rand(1, 7, 3, 8, 6)])
    lengths = torch.tensor([4, 7])
    with torch.inference_mode():
        alone = model(clip, torch.tensor([4]))
        together = model(batch, lengths)
        torch.testing.assert_close(model.encode(batch)[:1, :4], model.encode(clip))
    torch.testing.assert_close(together[:1, :4], alone)


def test_the_loss_leaves_padding_out():
    frames, drawn = torch.zeros(2, 3, 3, 2, 2), torch.zeros(2, 3, 3, 2, 2)
    drawn[0, 1:] = 100  # behind the first clip's length of 1
    drawn[1] = 1
    loss = reconstruction_loss(drawn, frames, torch.tensor([1, 3]))
    assert loss == pytest.approx(3 / 4)


def test_one_input_for_many_steps_is_the_same_input_at_every_step():
    torch.manual_seed(0)
    cell = ConvLSTMCell(3, 5, 3)
    x = torch.rand(2, 1, 3, 7, 6)
    torch.testing.assert_close(
        cell(x, steps=4), plain_recurrence(cell, x.expand(-1, 4, -1, -1, -1))
    )


@pytest.mark.parametrize("decode_from", ["each_state", "last_state"])
def test_checkpointing_changes_no_gradient(decode_from):
    model, frames, lengths = small(decode_from), torch.rand(2, 3, 3, 8, 6), torch.tensor([3, 2])
    gradients = []
    for model.checkpointing in (False, True):
        loss = reconstruction_loss(model(frames, lengths), frames, lengths)
        gradients.append(torch.autograd.grad(loss, list(model.parameters())))
    for kept, anew in zip(*gradients, strict=True):
        torch.testing.assert_close(anew, kept)


def test_checkpointing_keeps_less_for_the_backward_pass():
    model, frames, lengths = small(), torch.rand(2, 6, 3, 16, 12), torch.tensor([6, 6])
    kept = []
    for model.checkpointing in (False, True):
        sizes = []

        def pack(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            model(frames, lengths)
        kept.append(sum(sizes))
    assert kept[1] < kept[0] / 4


def test_mixed_precision_stays_close_to_full_precision():
    model, frames, lengths = small().eval(), torch.rand(2, 5, 3, 16, 12), torch.tensor([5, 4])
    with torch.inference_mode():
        full = model(frames, lengths)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = model(frames, lengths)
    assert mixed.dtype == torch.bfloat16
    torch.testing.assert_close(mixed.float(), full, atol=0.02, rtol=0)


def test_from_the_last_state_only_the_end_of_a_clip_is_seen_by_the_decoder():
    model = small("last_state").eval()
    clip = torch.rand(1, 3, 3, 6, 6)
    with torch.inference_mode():
        last = model.encode(clip)[:, -1:].expand(-1, 3, -1, -1, -1)
        expected = model.output(model.decoder(last).flatten(0, 1)).sigmoid()
        drawn = model(clip, torch.tensor([3]))
    torch.testing.assert_close(drawn.flatten(0, 1), expected)
