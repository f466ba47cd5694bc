"""How often intervals hold the truth when chance, not the split, says which creators calibrate.

The truth benchmark calibrates on some fourteen creators and tests on nineteen, once: its coverage
moves by several points with that draw. Neither split taught the models anything, so the same clips
can be divided anew, by creator, many times; the split-conformal interval of each division is the
rank that MAPIE takes. Models and predictions stay as they are, and nothing is chosen here.

It cannot tell whether the calibration clips were seen in training, because it mixes them with the
test clips; the coverage of the one true division can, and stands beside it.

Usage, after `make truth`: .venv/bin/python benchmarks/coverage_redraws.py
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
from interleaved import print_rows

from tiktok_virality.evaluation.conformal import LEVELS
from tiktok_virality.pipelines.reporting.comparisons import CHALLENGER

FOLDER = Path(__file__).resolve().parents[1] / "data" / "truth"
REDRAWS = 200


def main() -> None:
    """Print the coverage of each world and of all."""
    creators = pd.read_parquet(FOLDER / "03_primary/manifest.parquet").set_index("video_id")
    rows = [["world", "level", "the true division", "mean of redivisions", "their deviation"]]
    means: dict[float, list[tuple[float, float]]] = {level: [] for level in LEVELS}
    for world in sorted((FOLDER / "worlds").iterdir()):
        clips = _held_out(world)
        clips["creator"] = clips["video_id"].map(creators["creator_id"])
        for level in LEVELS:
            once, again = _coverage(clips, level)
            means[level].append((once, float(np.mean(again))))
            shown = (once, np.mean(again), np.std(again))
            rows.append([world.name, f"{level:.0%}", *(f"{share:.1%}" for share in shown)])
    for level, each in means.items():
        once, again_mean = np.mean(each, axis=0)
        rows.append(["all", f"{level:.0%}", f"{once:.1%}", f"{again_mean:.1%}", ""])
    print_rows(rows)


def _held_out(world: Path) -> pd.DataFrame:
    predictions = pd.read_parquet(world / "07_model_output/predictions.parquet")
    kept = predictions["split"].isin(["calibration", "test"])
    return predictions[kept & (predictions["model"] == CHALLENGER)].copy()


def _coverage(clips: pd.DataFrame, level: float) -> tuple[float, np.ndarray]:
    """Return the coverage of the true division, the mean over seeds, and of redivisions."""
    rng = np.random.default_rng(0)
    once, again = [], []
    for _, of_seed in clips.groupby("seed"):
        errors = (of_seed["y_true"] - of_seed["y_pred"]).abs().to_numpy()
        creator = of_seed["creator"].to_numpy()
        calibrates = (of_seed["split"] == "calibration").to_numpy()
        once.append(_share_held(errors, calibrates, level))
        every = np.unique(creator)
        count = len(np.unique(creator[calibrates]))
        for _ in range(REDRAWS):
            chosen = np.isin(creator, rng.permutation(every)[:count])
            again.append(_share_held(errors, chosen, level))
    return float(np.mean(once)), np.asarray(again)


def _share_held(errors: np.ndarray, calibrates: np.ndarray, level: float) -> float:
    known = np.sort(errors[calibrates])
    rank = min(math.ceil((len(known) + 1) * level), len(known))
    return float(np.mean(errors[~calibrates] <= known[rank - 1]))


if __name__ == "__main__":
    main()
