"""How much of the reachable R² the readout finds when the same clips are given other views.

One draw of views and 115 test clips say little about a model. Here the clips of the truth benchmark
are given the views of ten draws (other themes are liked, other creators are popular, other noise),
the readout of the ensemble is fitted on the training split, and measured on all clips that it has
not seen: validation, calibration and test clips, whose creators are none of the training split's.
Nothing is chosen here.

Usage, after `make truth`: .venv/bin/python benchmarks/readout_draws.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from tiktok_virality.demo.config import World
from tiktok_virality.demo.planting import perfect_predictions, plant_views
from tiktok_virality.evaluation.metrics import regression_metrics
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.readout import BilinearReadout
from tiktok_virality.training.corpus import read_tokens
from tiktok_virality.training.data import token_batch

ROOT = Path(__file__).resolve().parents[1]
DRAWS = range(10)
WORLDS: tuple[World, ...] = ("visual", "spoken", "additive", "interaction")


def main() -> None:
    """Print the share of the reachable R² by world, over all draws."""
    clips, batches, sizes = _corpus()
    print(f"{'world':<12} {'share of the reachable R²':<28} draws")
    for world in WORLDS:
        shares = [_share(clips, batches, sizes, world, draw) for draw in DRAWS]
        spread = f"{np.mean(shares):.3f} (sd {np.std(shares, ddof=1):.3f})"
        print(f"{world:<12} {spread:<28} {' '.join(f'{share:.2f}' for share in shares)}")


def _corpus() -> tuple[pd.DataFrame, dict[str, TokenBatch], dict[str, int]]:
    """Return the clips, learned from and held out, and their tokens."""
    bootstrap_project(ROOT)
    with KedroSession.create(ROOT, env="truth") as session:
        catalog = session.load_context().catalog
        clips = catalog.load("demo_clips").merge(catalog.load("splits"), on="video_id")
        stages = [catalog.load(f"{name}_embeddings") for name in ("visual", "audio")]
        clips["learned"] = clips["split"] == "train"
        tokens = {
            part: read_tokens(clips.loc[clips["learned"] == learned, "video_id"].tolist(), *stages)
            for part, learned in (("train", True), ("held out", False))
        }
    sizes = {
        name: next(t.shape[1] for clip in tokens["train"] if (t := getattr(clip, name)) is not None)
        for name in ("visual", "audio")
    }
    return clips, {part: token_batch(each, sizes) for part, each in tokens.items()}, sizes


def _share(
    clips: pd.DataFrame,
    batches: dict[str, TokenBatch],
    sizes: dict[str, int],
    world: World,
    draw: int,
) -> float:
    planted = plant_views(clips, world, draw)
    train, held_out = planted[planted["learned"]], planted[~planted["learned"]]
    mean, deviation = train["log_views"].mean(), train["log_views"].std(ddof=0)
    readout = BilinearReadout(sizes)
    standardised = (train["log_views"].to_numpy() - mean) / deviation
    readout.fit(batches["train"], standardised, train["creator"].to_numpy())
    predicted = readout(batches["held out"]).numpy() * deviation + mean
    reached = regression_metrics(held_out["log_views"], predicted)["r2"]
    known = perfect_predictions(held_out)["visual+audio"]
    return reached / regression_metrics(held_out["log_views"], known)["r2"]


if __name__ == "__main__":
    main()
