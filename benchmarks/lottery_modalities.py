"""What a modality brings in the drawn worlds: the readout with it and without it.

    .venv/bin/python benchmarks/lottery_modalities.py [--without motion] [--seed 7] [--worlds 24]

Run after the lottery of `kedro run --env truth`, on its tokens. The readout alone is fitted, no
Transformers, so that a world takes seconds: its share of the reachable R² on the test clips, and
the gain by each modality that is left out, as means over worlds with their 95 % intervals. Worlds
of a seed that nobody has looked at are a test of what was chosen on those of another.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import t

from tiktok_virality.datasets import StageStore
from tiktok_virality.demo.lottery import draw_world, plant_lottery
from tiktok_virality.evaluation.splits import assign_splits
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.limits import SplitParameters
from tiktok_virality.modalities import MODALITIES
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.readout import SecondOrderReadout
from tiktok_virality.training.corpus import ModelInput, assemble
from tiktok_virality.training.data import token_batch
from tiktok_virality.training.lottery import with_views

DATA = "data/truth"
SEED = 20240607
DIVISION = SplitParameters(train=0.67, validation=0.08, calibration=0.10, test=0.15)
"""Of the clips: `seed` in conf/base/parameters.yml."""


def main() -> None:
    """Print the share of the readout, and what is lost without each modality."""
    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("--without", nargs="*", default=["motion"])
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--worlds", type=int, default=24)
    asked = options.parse_args()
    clips = pd.read_parquet(f"{DATA}/01_raw/demo_clips.parquet")
    tables = {
        name: StageStore(filepath=f"{DATA}/04_feature/{name}_embeddings").load()
        for name in MODALITIES
    }
    manifest = pd.read_parquet(f"{DATA}/03_primary/manifest.parquet")
    splits = assign_splits(manifest, DIVISION, SEED)
    known = assemble(manifest, splits, tables, TargetParameters())
    taught = token_batch(known.open_clips.tokens, known.token_sizes, pooled=True)
    test = token_batch(known.splits["test"].tokens, known.token_sizes, pooled=True)
    shares: dict[str, list[float]] = {name: [] for name in ("", *asked.without)}
    for number in range(asked.worlds):
        world = draw_world(asked.seed, number)
        planted = plant_lottery(clips, world, SEED).set_index("video_id")
        views = with_views(known, planted["log_views"], world.name)
        for name, found in shares.items():
            found.append(share(views, planted, taught, test, name))
        print(number, {name: round(found[-1], 3) for name, found in shares.items()}, flush=True)
    print(f"all modalities, seed {asked.seed}: {interval(shares[''])}")
    for name in asked.without:
        gains = np.subtract(shares[""], shares[name])
        print(f"without {name}: {interval(shares[name])}; it brings {interval(gains)}")


def share(
    clips: ModelInput, planted: pd.DataFrame, taught: TokenBatch, test: TokenBatch, without: str
) -> float:
    """Return R² on the test clips over that of a perfect model."""
    learn, ask = clips.open_clips, clips.splits["test"]
    names = [name for name in clips.token_sizes if name != without]
    readout = SecondOrderReadout(
        {name: clips.token_sizes[name] for name in names},
        {name: parts for name, parts in clips.token_parts.items() if name in names},
    )
    mean, deviation = learn.log_views.mean(), learn.log_views.std()
    readout.fit(only(taught, names), (learn.log_views - mean) / deviation, learn.groups)
    said = readout(only(test, names)).double().numpy() * deviation + mean
    here = planted.loc[list(ask.ids)]
    perfect = (here["log_views"] - here["creator_effect"] - here["noise"]).to_numpy()
    return float(r_squared(ask.log_views, said) / r_squared(ask.log_views, perfect))


def only(batch: TokenBatch, names: Sequence[str]) -> TokenBatch:
    """Return a batch with some of its modalities."""
    kept = [{n: part[n] for n in names} for part in (batch.tokens, batch.padding, batch.pooled)]
    return replace(batch, tokens=kept[0], padding=kept[1], pooled=kept[2])


def r_squared(views: np.ndarray, said: np.ndarray) -> float:
    """Return the share of the variance that is explained."""
    return float(1 - np.square(views - said).mean() / views.var())


def interval(values: Sequence[float] | np.ndarray) -> str:
    """Return a mean with its interval, every world one observation."""
    reach = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    mean = np.mean(values)
    return f"{mean:.3f} ({mean - reach:.3f} to {mean + reach:.3f})"


if __name__ == "__main__":
    main()
