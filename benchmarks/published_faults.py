"""What each fault of the authors' code does to the published models, end to end.

    .venv/bin/kedro run --config benchmarks/published_small.yml    # on the corpus in data/
    .venv/bin/python benchmarks/published_faults.py [--repeats 1]

Runs the pipeline `published` once for each setting of `published.faults`, on the frames and the
autoencoder of the first command: states, both Transformers alone, the ensemble, predictions. Prints
a table in Markdown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from tiktok_virality.models.roles import PUBLISHED_MODELS
from tiktok_virality.training.published import PublishedFaults

PROJECT = Path(__file__).resolve().parents[1]
SETTINGS = PROJECT / "benchmarks" / "published_small.yml"
PREDICTIONS = PROJECT / "data" / "07_model_output" / "published_predictions.parquet"
CASES: dict[str, PublishedFaults] = {
    "channels as tokens (`conf/paper`)": PublishedFaults(channels_as_tokens=True),
    "no fault: moments as tokens": PublishedFaults(),
    "channels, and swapped states": PublishedFaults(channels_as_tokens=True, swapped_states=True),
    "channels, and a scaler that sees held-out truth": PublishedFaults(
        channels_as_tokens=True, scaler_sees_held_out=True
    ),
}


def predictions_with(faults: PublishedFaults, repeats: int) -> pd.DataFrame:
    """Run the published models with faults, in a process of its own; return what they predicted."""
    asked = {"published": {"faults": faults.model_dump()}, "modeling": {"repeats": repeats}}
    settings = OmegaConf.merge(OmegaConf.load(SETTINGS), {"run": {"params": asked}})
    with TemporaryDirectory() as folder:
        file = Path(folder) / "run.yml"
        OmegaConf.save(settings, file)
        command = [sys.executable, "-m", "kedro", "run", "--config", str(file)]
        subprocess.run([*command, "--pipelines", "published"], cwd=PROJECT, check=True)
    return pd.read_parquet(PREDICTIONS)


def skills(predictions: pd.DataFrame, model: str) -> list[float]:
    """Return 1 - MSE / MSE of the training mean on test clips, one for each seed."""
    mine = predictions[predictions["model"] == model]
    mean = mine.loc[mine["split"] == "train", "y_true"].mean()
    tested = mine[mine["split"] == "test"]
    return [
        1
        - np.square(part["y_pred"] - part["y_true"]).mean()
        / np.square(mean - part["y_true"]).mean()
        for _, part in tested.groupby("seed")
    ]


def row(name: str, predictions: pd.DataFrame) -> str:
    """Write a row: the skill of each model, and its range where there are several seeds."""
    cells = []
    for model in PUBLISHED_MODELS:
        found = skills(predictions, model)
        spread = f" ({min(found):.2f} to {max(found):.2f})" if len(found) > 1 else ""
        cells.append(f"{np.mean(found):.2f}{spread}".replace("-", "\N{MINUS SIGN}"))
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Run every case, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1)
    repeats = parser.parse_args().repeats
    rows = {name: predictions_with(faults, repeats) for name, faults in CASES.items()}
    first = next(iter(rows.values()))
    clips = first.loc[first["split"] == "test", "video_id"].nunique()
    print(f"Skill on {clips} test clips, mean of {repeats} seeds:\n")
    print("| setting | picture alone | voice alone | ensemble |\n|---|--:|--:|--:|")
    for name, predictions in rows.items():
        print(row(name, predictions))


if __name__ == "__main__":
    main()
