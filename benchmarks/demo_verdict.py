"""How often the demo's verdict is clear, and whether it ever is where there is nothing to find.

The views of the demo's clips are planted anew under other seeds (who is popular, which theme is
liked, the noise, the folds), the models trained for every fold as `kedro run --env demo` does, and
the verdict reached as its report does. Run after `make run`:

    .venv/bin/python benchmarks/demo_verdict.py --seeds 20
    .venv/bin/python benchmarks/demo_verdict.py --seeds 20 --world noise

Prints a line a seed and the counts; what is finished is kept under ``data/demo/verdicts``.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from tiktok_virality.datasets import StageStore
from tiktok_virality.demo.config import World
from tiktok_virality.demo.planting import plant_views
from tiktok_virality.evaluation.cross_fitting import assign_folds
from tiktok_virality.modalities import MODALITIES
from tiktok_virality.parameters import check_parameters
from tiktok_virality.pipelines.reporting.nodes import (
    build_leaderboard,
    compare_models,
    judge_ensemble,
)

DATA = Path("data/demo")


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One drawing of the demo's rule."""

    world: World
    seed: int
    parameters: dict[str, Any]


def main() -> None:
    """Draw worlds, two at a time, and count the verdicts."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--first", type=int, default=1)
    options.add_argument("--world", default=None, help="by default the demo's")
    asked = options.parse_args()
    parameters = demo_parameters()
    world = asked.world or parameters["demo"]["world"]
    draws = [
        Draw(world=world, seed=seed, parameters=parameters)
        for seed in range(asked.first, asked.first + asked.seeds)
    ]
    outcomes: Counter[str] = Counter()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for draw, verdict in zip(draws, pool.map(judge, draws), strict=True):
            outcomes[verdict["outcome"]] += 1
            print(draw.seed, verdict["outcome"], verdict["sentence"], flush=True)
    print(f"{world}, {len(draws)} seeds: {dict(outcomes)}")


def demo_parameters() -> dict[str, Any]:
    """Return the parameters of ``--env demo``."""
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(Path.cwd())
    with KedroSession.create(env="demo") as session:
        checked = check_parameters(session.load_context().params)
    return checked.model_dump(mode="json")


def judge(draw: Draw) -> dict[str, Any]:
    """Return the verdict of one drawing."""
    kept = DATA / "verdicts" / f"{draw.world}_{draw.seed}.json"
    if kept.exists():
        return dict(json.loads(kept.read_text()))
    found = _judge(draw)
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(found))
    return found


def _judge(draw: Draw) -> dict[str, Any]:
    import torch

    from tiktok_virality.training.corpus import assemble_all
    from tiktok_virality.training.lineup import Recipe, Setting, train_all

    torch.set_num_threads(1)
    parameters = check_parameters(draw.parameters)
    modeling = parameters.modeling
    clips = pd.read_parquet(DATA / "01_raw" / "demo_clips.parquet")
    planted = plant_views(clips, draw.world, draw.seed).set_index("video_id")["log_views"]
    manifest = pd.read_parquet(DATA / "03_primary" / "manifest.parquet")
    views = np.rint(np.exp(planted.loc[manifest["video_id"]].to_numpy()))
    manifest = manifest.assign(views=views.astype("int64"))
    splits = assign_folds(
        manifest, parameters.ingestion.splits.strategy, parameters.evaluation.folds, draw.seed
    )
    tables = {
        name: StageStore(filepath=str(DATA / "04_feature" / f"{name}_embeddings")).load()
        for name in MODALITIES
    }
    _, divisions = assemble_all(manifest, splits, tables, modeling.target)
    recipe = Recipe(
        transformer=modeling.transformer,
        training=modeling.training,
        fine_tuning=modeling.fine_tuning,
    )
    with TemporaryDirectory(prefix="verdict-") as folder:
        setting = Setting(seed=draw.seed, device="cpu", checkpoints=Path(folder), quiet=True)
        predictions = pd.concat(
            [train_all(each, recipe, setting, with_baselines=True) for each in divisions]
        ).drop_duplicates(["video_id", "split", "model"], ignore_index=True)
    predictions = predictions.assign(lower=np.nan, upper=np.nan)
    reporting = parameters.reporting
    leaderboard = build_leaderboard(
        predictions, manifest, splits, modeling.target, reporting, draw.seed
    )
    comparisons = compare_models(leaderboard, predictions, manifest, reporting, draw.seed)
    return judge_ensemble(leaderboard, comparisons, reporting)


if __name__ == "__main__":
    main()
