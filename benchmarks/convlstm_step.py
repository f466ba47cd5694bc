"""One training step of the ConvLSTM autoencoder beside the plain recurrence in float32.

    .venv/bin/python benchmarks/convlstm_step.py [--device cpu] [--repeats 5]

A step is forward, loss, backward and AdamW at [8, 8, 3, 128, 72] (batch, frames, channels, height,
width), 64 hidden channels. Then the memory and the time of the published settings at every 100th
frame: steps of 8 clips of 18 frames. Every way runs in the same process, in turn.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial

import torch
from interleaved import bytes_of_this_process, measure, print_machine, print_rows, print_table

from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.convlstm import (
    ConvLSTMAutoencoder,
    ConvLSTMCell,
    plain_recurrence,
    reconstruction_loss,
)

HIDDEN, HEIGHT, WIDTH, CHANNELS = 64, 128, 72, 3
CLIPS, FRAMES = 8, 8
PUBLISHED_FRAMES, PUBLISHED_CORPUS, PUBLISHED_MINUTES = 18, 5_000, 40
MEMORY_CASES = {
    "batch 8": (8, False),
    "batch 8, checkpointing": (8, True),
    "batch 2, accumulated 4 times": (2, False),
    "batch 2, accumulated 4 times, checkpointing": (2, True),
}
GIBIBYTE = 2**30


class PlainCell(ConvLSTMCell):
    """A cell that takes its steps the plain way."""

    def forward(self, x: torch.Tensor, steps: int | None = None) -> torch.Tensor:
        """Return the states."""
        assert steps is None
        return plain_recurrence(self, x)


class Step:
    """One optimisation step, repeated on the same clips."""

    def __init__(
        self,
        device: str,
        *,
        plain: bool = False,
        mixed: bool = False,
        checkpointing: bool = False,
        batch: int = CLIPS,
        frames: int = FRAMES,
        decode_from: str = "each_state",
    ) -> None:
        torch.manual_seed(0)
        model = ConvLSTMAutoencoder(ConvLSTMConfig(hidden=HIDDEN, decode_from=decode_from))
        model.checkpointing = checkpointing
        if plain:
            for cell in (*model.encoder, *model.decoder):
                cell.__class__ = PlainCell
        self.model = model.to(device)
        self.optimizer = torch.optim.AdamW(model.parameters())
        self.frames = torch.rand(CLIPS, frames, CHANNELS, HEIGHT, WIDTH, device=device)
        self.lengths = torch.full((CLIPS,), frames, device=device)
        self.device, self.mixed, self.batch = device, mixed, batch

    def __call__(self) -> float:
        """Take the step, and return the loss."""
        self.optimizer.zero_grad()
        total = 0.0
        for start in range(0, CLIPS, self.batch):
            frames = self.frames[start : start + self.batch]
            lengths = self.lengths[start : start + self.batch]
            mixed = torch.autocast(self.device, torch.bfloat16) if self.mixed else nullcontext()
            with mixed:
                drawn = self.model(frames, lengths)
                loss = reconstruction_loss(drawn, frames, lengths) * self.batch / CLIPS
            loss.backward()
            total += loss.item()
        self.optimizer.step()
        if self.device == "cuda":
            torch.cuda.synchronize()
        return total


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--memory-of", choices=MEMORY_CASES, help="print one peak, in GiB")
    wanted = options.parse_args()
    if wanted.memory_of:
        print(peak_of_this_process(wanted.device, *MEMORY_CASES[wanted.memory_of]))
        return
    print_machine()
    device = wanted.device
    peers: dict[str, Callable[[], object]] = {
        "plain recurrence, float32": Step(device, plain=True),
        "ours, float32": Step(device),
        "plain recurrence, mixed": Step(device, plain=True, mixed=True),
        "ours, mixed": Step(device, mixed=True),
        "ours, mixed, checkpointing": Step(device, mixed=True, checkpointing=True),
    }
    print(f"\n## A step at [{CLIPS}, {FRAMES}, {CHANNELS}, {HEIGHT}, {WIDTH}]\n")
    times = measure(peers, wanted.repeats)
    print_table(times, "ours, mixed", clips=CLIPS)
    print_share_of_peak(device, min(times["ours, mixed"]))
    print(f"\n## Peak memory of a step of {CLIPS} clips of {PUBLISHED_FRAMES} frames, mixed\n")
    rows = [["way", "GiB"]]
    for name in MEMORY_CASES:
        command = [sys.executable, __file__, "--device", device, "--memory-of", name]
        peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows.append([name, f"{float(peak):.1f}"])
    print_rows(rows)
    print_epoch(device)


def print_share_of_peak(device: str, seconds: float) -> None:
    """Print how much of what the device can multiply the step needs, at the least."""
    pixels = CLIPS * FRAMES * HEIGHT * WIDTH
    over_input = (CHANNELS + 3 * HIDDEN) * 4 * HIDDEN * 9
    over_state = 4 * HIDDEN * 4 * HIDDEN * 9 * (FRAMES - 1) / FRAMES
    output = HIDDEN * CHANNELS * 9
    forward = 2 * pixels * (over_input + over_state + output)
    wanted = (
        3 * forward - 2 * pixels * CHANNELS * 4 * HIDDEN * 9
    )  # nobody asks the pixels' gradient
    peak = matmul_rate(device)
    print(
        f"\nA step multiplies {wanted / 1e12:.2f} TFLOP: {wanted / seconds / 1e12:.2f} TFLOP/s, "
        f"{wanted / seconds / peak:.0%} of the {peak / 1e12:.2f} TFLOP/s of a bfloat16 matrix "
        "product here."
    )


def matmul_rate(device: str, size: int = 4096) -> float:
    """Return the operations per second of the best of five bfloat16 matrix products."""
    if device == "cpu":
        size //= 2
    one = torch.rand(size, size, device=device, dtype=torch.bfloat16)

    def product() -> None:
        one @ one
        if device == "cuda":
            torch.cuda.synchronize()

    product()
    return 2 * size**3 / min(measure({"product": product}, 5)["product"])


def peak_of_this_process(device: str, batch: int, checkpointing: bool) -> float:
    """Return the most memory that one step of the published size takes, in GiB."""
    step = Step(
        device,
        mixed=True,
        checkpointing=checkpointing,
        batch=batch,
        frames=PUBLISHED_FRAMES,
        decode_from="last_state",
    )
    if device == "cuda":
        step()
        return torch.cuda.max_memory_allocated() / GIBIBYTE
    before = bytes_of_this_process("VmHWM")  # `getrusage` counts its parent's
    step()
    return (bytes_of_this_process("VmHWM") - before) / GIBIBYTE


def print_epoch(device: str) -> None:
    """Print how long an epoch of the published corpus takes at the pace of a step."""
    step = partial(
        Step, device, mixed=True, batch=2, frames=PUBLISHED_FRAMES, decode_from="last_state"
    )()
    step()
    start = time.perf_counter()
    step()
    seconds = time.perf_counter() - start
    minutes = seconds * PUBLISHED_CORPUS / CLIPS / 60
    print(
        f"\nA step of {CLIPS} clips of {PUBLISHED_FRAMES} frames takes {seconds:.1f} s: an epoch "
        f"of {PUBLISHED_CORPUS:,} clips at every 100th frame {minutes:,.0f} minutes here "
        f"({os.cpu_count()} cores, {device}), beside the paper's {PUBLISHED_MINUTES} minutes on "
        "GPUs with 8 GB."
    )


if __name__ == "__main__":
    main()
