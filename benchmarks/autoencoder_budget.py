"""What the autoencoder loses when its training is cut short, by steps.

    kedro run --env truth                           # leaves the planted corpus that this reads
    .venv/bin/python benchmarks/autoencoder_budget.py [--data data/truth] [--steps 100 400 1600]

Each budget is a training of its own, whose learning rate comes to its end. What it loses is shown
in two ways: the error of drawing test clips again, and what a ridge on the pooled tokens knows of
the planted factors that are seen, each clip predicted from clips of other creators.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from interleaved import print_machine, print_rows
from probe_ridge import r_squared, ridge_out_of_fold, source_folds

from tiktok_virality.datasets import StageStore
from tiktok_virality.demo.factors import FACTORS
from tiktok_virality.models.configs import ConvLSTMConfig
from tiktok_virality.models.convlstm import ConvLSTMAutoencoder
from tiktok_virality.models.pooling import pool
from tiktok_virality.models.trained import ModelSpec, TrainedModel
from tiktok_virality.stages.embedding import pool_states
from tiktok_virality.training.autoencoder import train_autoencoder
from tiktok_virality.training.frame_study import FrameErrors, HeldFrames
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.parameters import AutoencoderTraining

SEED = 7
GRID = (4, 2)
EPOCHS = 5
SEEN = [name for name, each in FACTORS.items() if each.sense == "picture" and not each.options]


def main() -> None:
    """Train under every budget, and print the table."""
    options = _options()
    splits = pd.read_parquet(options.data / "03_primary/splits.parquet")
    ids = {name: part["video_id"].tolist() for name, part in splits.groupby("split")}
    table = StageStore(filepath=str(options.data / "02_intermediate/frames")).load()
    every = [video_id for part in ids.values() for video_id in part]
    frames = HeldFrames(
        {
            video_id: np.asarray(table.row(video_id, ["pixels"])["pixels"])[:: options.stride]
            for video_id in every
        }
    )
    clips = pd.read_parquet(options.data / "01_raw/demo_clips.parquet").set_index("video_id")
    print_machine()
    rows = [["steps", "seconds", "processor s", "error, x 1,000", *SEEN, "mean R²"]]
    for steps in (0, *options.steps):
        rows.append(measure(steps, frames, ids, clips.loc[every], options))
        print(" | ".join(rows[-1]), flush=True)
    print_rows(rows)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("data/truth"))
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 400, 1600])
    parser.add_argument("--stride", type=int, default=2, help="of the frames that are there")
    parser.add_argument("--hidden", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=0.005)
    return parser.parse_args()


def measure(
    steps: int,
    frames: HeldFrames,
    ids: Mapping[str, Sequence[str]],
    clips: pd.DataFrame,
    options: argparse.Namespace,
) -> list[str]:
    """Train for some steps, and return a row of the table; without any, of fresh weights."""
    config = ConvLSTMConfig(hidden=options.hidden)
    clock, processor = time.perf_counter(), time.process_time()
    model = _fresh(config)
    if steps:
        epochs = max(EPOCHS, -(-steps * options.batch_size // len(ids["train"])))
        parameters = AutoencoderTraining(
            epochs=epochs,
            batch_size=options.batch_size,
            learning_rate=options.learning_rate,
            max_steps=steps,
            max_validation_clips=20,
        )
        with TemporaryDirectory() as folder:
            run = TrainingRun.of(
                "autoencoder", [], checkpoints=Path(folder), seed=SEED, device="cpu"
            )
            model = train_autoencoder(
                frames, ids["train"], ids["validation"], config, parameters, run
            )
    seconds = time.perf_counter() - clock, time.process_time() - processor
    module = model.build()
    assert isinstance(module, ConvLSTMAutoencoder)
    errors = FrameErrors()
    with torch.inference_mode():
        for shown in frames.of(ids["test"]):
            drawn = module(shown[None], torch.tensor([len(shown)]))
            errors.add(drawn[0], shown)
        pooled = np.stack(
            [
                pool(pool_states(module.encode(shown[None]), GRID)[0].numpy())
                for shown in frames.of(list(clips.index))
            ]
        ).astype(np.float64)
    creators = clips["creator"].to_numpy()
    targets = clips[SEEN].to_numpy(np.float64)
    said = ridge_out_of_fold(pooled, targets, creators, source_folds(creators, SEED))
    known = r_squared(targets, said)
    return [
        f"{steps:,}",
        *(f"{each:.0f}" for each in seconds),
        f"{1000 * errors.mean:.2f}",
        *(f"{value:.2f}" for value in known),
        f"{known.mean():.3f}",
    ]


def _fresh(config: ConvLSTMConfig) -> TrainedModel:
    torch.manual_seed(SEED)
    spec = ModelSpec(kind="autoencoder", convlstm=config)
    return TrainedModel(spec=spec, state=spec.build().state_dict(), history=[])


if __name__ == "__main__":
    main()
