"""Which Transformer makes the most of a budget: a large one of few steps, or a small one of many.

    kedro run --env truth --pipelines demo,ingestion,image,motion   # leaves what this reads
    .venv/bin/python benchmarks/transformer_budget.py [--data data/truth]

Each is trained alone, without the readout beside it, on the tokens of one modality of the planted
corpus. What counts is the share of the variance of log views that it explains on clips of creators
that it never saw, beside the processor time of its training.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch
from interleaved import print_machine, print_rows

from tiktok_virality.datasets import StageStore
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.training.corpus import LabelledClips, StoredTokens, read_tokens
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.parameters import TrainingParameters
from tiktok_virality.training.predicting import predict_log_views
from tiktok_virality.training.predictors import train_predictor

SHAPES = {
    "256 x 6": {"width": 256, "layers": 6, "heads": 8, "feedforward": 1024},
    "128 x 2": {"width": 128, "layers": 2, "heads": 4, "feedforward": 256},
}
BUDGETS = (("256 x 6", 50), ("256 x 6", 200), ("128 x 2", 200), ("128 x 2", 1000))
EPOCHS = 10
SEED = 7


def main() -> None:
    """Train under every budget, and print the table."""
    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("--data", type=Path, default=Path("data/truth"))
    options.add_argument("--modalities", nargs="+", default=["image", "motion"])
    wanted = options.parse_args()
    torch.set_num_threads(1)
    print_machine()
    splits = pd.read_parquet(wanted.data / "03_primary/splits.parquet")
    clips = pd.read_parquet(wanted.data / "01_raw/demo_clips.parquet").merge(splits, on="video_id")
    rows = [["modality", "width x layers", "steps", "processor s", "R² on held-out clips"]]
    for name in wanted.modalities:
        table = StageStore(filepath=str(wanted.data / "04_feature" / f"{name}_embeddings")).load()
        parts = {
            role: labelled(clips[clips["split"].isin(members)], name, table)
            for role, members in {
                "train": ["train"],
                "validation": ["validation"],
                "held out": ["calibration", "test"],
            }.items()
        }
        for shape, steps in BUDGETS:
            rows.append([name, shape, f"{steps:,}", *measure(name, shape, steps, parts)])
            print(" | ".join(rows[-1]), flush=True)
    print_rows(rows)


def labelled(clips: pd.DataFrame, modality: str, table: StoredTokens) -> LabelledClips:
    """Return some of the clips with their tokens of one modality."""
    ids = clips["video_id"].tolist()
    return LabelledClips(
        ids=ids,
        groups=clips["creator"].to_numpy(dtype=object),
        log_duration=np.log(clips["duration_seconds"].to_numpy(float)),
        tokens=read_tokens(ids, {modality: table}),
        log_views=clips["log_views"].to_numpy(float),
    )


def measure(
    modality: str, shape: str, steps: int, parts: dict[str, LabelledClips]
) -> Sequence[str]:
    """Train a Transformer, and return its processor seconds and R² on the held-out clips."""
    size = next(clip.tokens[modality].shape[1] for clip in parts["train"].tokens)
    config = TransformerConfig(**SHAPES[shape], dropout=0.2, readout=False)
    spec = ModelSpec(kind="modality", transformer=config, token_sizes={modality: size})
    parameters = TrainingParameters(
        epochs=max(EPOCHS, -(-16 * steps // len(parts["train"]))),
        batch_size=16,
        learning_rate=0.0003,
        weight_decay=0.05,
        max_steps=steps,
    )
    began = time.process_time()
    with TemporaryDirectory() as folder:
        run = TrainingRun.of(
            spec.name, [], checkpoints=Path(folder), seed=SEED, device="cpu", quiet=True
        )
        model = train_predictor(spec, parts["train"], parts["validation"], parameters, run)
    seconds = time.process_time() - began
    truth = parts["held out"].log_views
    error = predict_log_views(model, parts["held out"].tokens) - truth
    return f"{seconds:.0f}", f"{1 - np.square(error).mean() / truth.var():.3f}"


if __name__ == "__main__":
    main()
