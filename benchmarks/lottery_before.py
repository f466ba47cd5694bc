"""The state before modalities became one idea, in the same drawn worlds: what share it finds.

The earlier code runs from a checkout of its own, on the same clips, splits and views:

    git worktree add ../before 5b9313b
    .venv/bin/python benchmarks/lottery_before.py deal ../before
    cd ../before
    export PYTHONPATH=src    # torchvision beside a CPU torch: see startup.py
    ../main/.venv/bin/python -m kedro run --env truth --pipelines ingestion,audio,visual
    ../main/.venv/bin/python ../main/benchmarks/lottery_before.py play

Run after `make truth`. ``deal`` copies clips, splits and the views of every world into the
checkout; ``play`` trains the two modality models and the ensemble of that state in each of them.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

DATA = Path("data/truth")
WORLDS = DATA / "drawn_worlds.parquet"


def deal(checkout: Path) -> None:
    """Copy clips and splits into a checkout, and the views of every drawn world."""
    from tiktok_virality.demo.lottery import draw_world, plant_lottery
    from tiktok_virality.evaluation.splits import assign_splits
    from tiktok_virality.media.limits import SplitParameters
    from tiktok_virality.training.parameters import LotteryParameters

    lottery = LotteryParameters()
    clips = pd.read_parquet(DATA / "01_raw" / "demo_clips.parquet")
    tables = []
    for number in range(lottery.worlds):
        planted = plant_lottery(clips, draw_world(lottery.seed, number), SEED)
        perfect = planted["log_views"] - planted["creator_effect"] - planted["noise"]
        columns = {"world": number, "log_views": planted["log_views"], "perfect": perfect}
        tables.append(planted[["video_id"]].assign(**columns))
    target = checkout / DATA
    shutil.copytree(DATA / "01_raw", target / "01_raw", dirs_exist_ok=True)
    pd.concat(tables).to_parquet(checkout / WORLDS)
    division = SplitParameters(train=0.67, validation=0.08, calibration=0.10, test=0.15)
    manifest = pd.read_parquet(DATA / "03_primary" / "manifest.parquet")
    splits = assign_splits(manifest, division, SEED)
    splits.to_parquet(target / "splits_of_the_lottery.parquet")


def play() -> None:
    """Train the earlier ensemble in every world, and print the share that it finds."""
    worlds = pd.read_parquet(WORLDS)
    clips, recipe = _assembled()
    shares = []
    for number, views in worlds.groupby("world"):
        reached, reachable = _play(clips, recipe, views.set_index("video_id"), int(number))
        shares.append(reached / reachable)
        print(f"world {number}: {reached:.3f} of {reachable:.3f}, {shares[-1]:.2f}", flush=True)
    from scipy.stats import t

    reach = t.ppf(0.975, len(shares) - 1) * np.std(shares, ddof=1) / np.sqrt(len(shares))
    mean = np.mean(shares)
    print(f"mean share {mean:.3f} ({mean - reach:.3f} to {mean + reach:.3f}), {len(shares)} worlds")
    (DATA / "drawn_worlds_before.json").write_text(json.dumps(shares))


def _assembled() -> tuple[Any, Any]:
    from kedro.framework.session import KedroSession
    from kedro.framework.startup import bootstrap_project

    from tiktok_virality.evaluation.targets import TargetParameters
    from tiktok_virality.parameters import check_parameters
    from tiktok_virality.training.corpus import assemble
    from tiktok_virality.training.lineup import Recipe

    bootstrap_project(Path.cwd())
    with KedroSession.create(env="truth") as session:
        context = session.load_context()
        catalog, modeling = context.catalog, check_parameters(context.params).modeling
        splits = pd.read_parquet(DATA / "splits_of_the_lottery.parquet")
        tables = (catalog.load("visual_embeddings"), catalog.load("audio_embeddings"))
        clips = assemble(catalog.load("manifest"), splits, *tables, TargetParameters())
    parts = ("transformer", "training", "fine_tuning")
    return clips, Recipe(**{name: getattr(modeling, name) for name in parts})


def _play(clips: Any, recipe: Any, views: pd.DataFrame, number: int) -> tuple[float, float]:
    from sklearn.metrics import r2_score

    from tiktok_virality.training.lineup import Setting, train_and_predict_ensemble

    def truth(part: Any) -> np.ndarray:
        return np.logaddexp(0.0, views.loc[list(part.ids), "log_views"].to_numpy())

    splits = {
        name: dataclasses.replace(part, log_views=truth(part))
        for name, part in clips.splits.items()
    }
    here = dataclasses.replace(
        clips, splits=splits, label=f"w{number}", fingerprint=f"{clips.fingerprint}{number}"
    )
    with TemporaryDirectory() as folder:
        setting = Setting(seed=SEED, device="cpu", checkpoints=Path(folder))
        rows = train_and_predict_ensemble(here, recipe, setting)
    ours = rows[(rows["model"] == "ensemble") & (rows["split"] == "test")]
    perfect = views.loc[list(here.splits["test"].ids), "perfect"]
    return (
        float(r2_score(ours["y_true"], ours["y_pred"])),
        float(r2_score(here.splits["test"].log_views, perfect)),
    )


SEED = 20240607
"""That of the truth environment."""


if __name__ == "__main__":
    deal(Path(sys.argv[2])) if sys.argv[1] == "deal" else play()
