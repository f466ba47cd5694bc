"""How long epochs of the autoencoder take in one and in two processes, and what they lose.

    .venv/bin/python benchmarks/processes.py [--clips 32] [--epochs 2] [--rounds 2]

Made-up clips of the demo's size: 12 to 40 frames of 32 x 18 pixels, batches of 4, 8 hidden
channels. Rounds alternate, so that whatever else runs weighs on both. The fastest epoch
leaves out the start of processes, which is in the seconds of the training.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from interleaved import print_machine, print_rows

from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.training.autoencoder import train_autoencoder
from tiktok_virality.training.frame_study import HeldFrames
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.parameters import AutoencoderTraining

HEIGHT, WIDTH = 32, 18
FRAMES = (12, 40)
HIDDEN = 8
BATCH = 4


def main() -> None:
    """Train in turn, and print seconds, ratio, and how far the losses are apart."""
    options = _options()
    print_machine()
    frames = made_up_frames(options.clips)
    taken: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    losses: dict[int, np.ndarray] = {}
    for _ in range(options.rounds):
        for processes in taken:
            whole, epoch, losses[processes] = train(frames, options.epochs, processes)
            taken[processes].append((whole, epoch))
    rows = [["processes", "seconds of the fastest epoch", "seconds of the training"]]
    best = {count: np.min(each, axis=0) for count, each in taken.items()}
    rows += [[str(n), f"{epoch:.2f}", f"{whole:.1f}"] for n, (whole, epoch) in best.items()]
    print_rows(rows)
    print(f"fastest epoch, two to one: {best[2][1] / best[1][1]:.2f}")
    print(f"losses apart by at most {np.abs(losses[2] / losses[1] - 1).max():.1e} of themselves")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--clips", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    return parser.parse_args()


def made_up_frames(clips: int) -> HeldFrames:
    """Return noise of uneven length."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(*FRAMES, clips, endpoint=True)
    return HeldFrames(
        {
            str(index): rng.integers(0, 256, (length, 3, HEIGHT, WIDTH), np.uint8)
            for index, length in enumerate(lengths)
        }
    )


def train(frames: HeldFrames, epochs: int, processes: int) -> tuple[float, float, np.ndarray]:
    """Return seconds of the training and of its fastest epoch, and the losses, [epochs, 2]."""
    ids = list(frames.pixels)
    parameters = AutoencoderTraining(
        epochs=epochs,
        batch_size=BATCH,
        learning_rate=0.02,
        precision="full",
        processes=processes,
    )
    with TemporaryDirectory() as folder:
        run = TrainingRun.of("autoencoder", [], checkpoints=Path(folder), seed=0, device="cpu")
        began = time.monotonic()
        model = train_autoencoder(
            frames, ids[BATCH:], ids[:BATCH], ConvLSTMConfig(hidden=HIDDEN), parameters, run
        )
        whole = time.monotonic() - began
    losses = [[row["train_loss"], row["validation_loss"]] for row in model.history]
    return whole, min(row["seconds"] for row in model.history), np.asarray(losses)


if __name__ == "__main__":
    main()
