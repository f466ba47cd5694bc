"""What modelling takes at the published size, from made-up tokens of the size of real ones.

    .venv/bin/python benchmarks/modeling_cost.py --like data/demo/04_feature [--clips 3600]

Nothing is learned: tokens are noise, and a clip of 30 s has as many as a real one. Times are of the
processor, with one thread: steps of Transformers of two shapes, forward and back; the readout of
all modalities; and every baseline, on as many clips as the training and the validation split have
together.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import yaml
from interleaved import print_machine, print_rows

from tiktok_virality.datasets import StageStore
from tiktok_virality.models.baselines import PooledClips, baseline_names, fit_baseline
from tiktok_virality.models.configs import TransformerConfig
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.pooling import POOLS
from tiktok_virality.models.readout import SecondOrderReadout
from tiktok_virality.models.trained import ModelSpec
from tiktok_virality.training.module import ViewsTrainee
from tiktok_virality.training.parameters import TrainingParameters

ROOT = Path(__file__).parents[1]
TOKENS = {"visual": 32, "image": 8, "motion": 60, "audio": 60, "sound": 60, "text": 4}
"""Of a clip of 30 s."""
CLIPS_PER_CREATOR = 6
SHAPES = (
    {"width": 256, "layers": 6, "feedforward": 1024, "heads": 8},
    {"width": 128, "layers": 2, "feedforward": 256, "heads": 4},
)
STEPS = 2
SEED = 7


def main() -> None:
    """Print what steps, readouts and baselines take."""
    options = _options()
    torch.set_num_threads(1)
    print_machine()
    sizes, parts = token_sizes(options.like)
    print({name: sizes[name] for name in TOKENS})
    if "steps" in options.parts:
        print_steps(sizes)
    if "readout" in options.parts:
        print_readout(sizes, parts, options.clips)
    if "baselines" in options.parts:
        print_baselines(sizes, options.clips)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--like", type=Path, default=Path("data/demo/04_feature"))
    parser.add_argument("--clips", type=int, default=3_600)
    parser.add_argument("--parts", nargs="+", default=["steps", "readout", "baselines"])
    return parser.parse_args()


def token_sizes(folder: Path) -> tuple[dict[str, int], dict[str, tuple[int, ...]]]:
    """Return the size of a token by modality, and which of its numbers belong together."""
    sizes, parts = {}, {}
    for name in TOKENS:
        table = StageStore(filepath=str(folder / f"{name}_embeddings")).load()
        row = table.row(table.ids[0])
        sizes[name] = int(row["tokens"].shape[1])
        parts[name] = tuple(int(n) for n in row.get("parts", [sizes[name]]))
    return sizes, parts


def print_steps(sizes: dict[str, int]) -> None:
    """Print processor seconds of a step of each Transformer, in shapes to choose from."""
    base = yaml.safe_load((ROOT / "conf/base/parameters_modeling.yml").read_text())["modeling"]
    rows = [["width x layers", *TOKENS, "early_fusion", "ensemble"]]
    for changes in SHAPES:
        shape = TransformerConfig(**{**base["transformer"], **changes, "readout": False})
        specs = [
            *(
                ModelSpec(kind="modality", transformer=shape, token_sizes={name: sizes[name]})
                for name in TOKENS
            ),
            ModelSpec(kind="early_fusion", transformer=shape, token_sizes=sizes),
            ModelSpec(kind="late_fusion", transformer=shape, token_sizes=sizes),
        ]
        training = TrainingParameters(**base["training"])
        seconds = [step_seconds(spec, training) for spec in specs]
        rows.append([f"{shape.width} x {shape.layers}", *(f"{each:.2f}" for each in seconds)])
    print_rows(rows)


def step_seconds(spec: ModelSpec, training: TrainingParameters) -> float:
    """Return the processor seconds of a step: forward, loss, backward and AdamW."""
    trainee = ViewsTrainee(spec.build_deep(), training, STEPS)
    optimizer = torch.optim.AdamW(trainee.parameters())
    batch, target = made_up_batch(spec.token_sizes, training.batch_size), torch.zeros(1)

    def step() -> None:
        optimizer.zero_grad()
        trainee.loss((batch, target.expand(training.batch_size)))[0].backward()
        optimizer.step()

    step()
    return min(processor_seconds(step) for _ in range(STEPS))


def made_up_batch(sizes: dict[str, int], clips: int) -> TokenBatch:
    """Return a batch of clips that have every modality."""
    return TokenBatch(
        {name: torch.randn(clips, TOKENS[name], size) for name, size in sizes.items()},
        {name: torch.zeros(clips, TOKENS[name], dtype=torch.bool) for name in sizes},
        {},
    )


def print_readout(sizes: dict[str, int], parts: dict[str, tuple[int, ...]], clips: int) -> None:
    """Print what fitting the readout of all modalities takes; a predictor fits it twice."""
    pooled = made_up_pools(sizes, clips)
    batch = TokenBatch(
        {name: torch.zeros(clips, 1, size) for name, size in sizes.items()},
        {name: torch.zeros(clips, 1, dtype=torch.bool) for name in sizes},
        {name: torch.from_numpy(rows) for name, rows in pooled.items()},
    )
    readout = SecondOrderReadout(sizes, parts)
    target = planted(pooled)
    seconds = processor_seconds(lambda: readout.fit(batch, target, creators(clips)))
    print(f"\nreadout of all modalities, {clips} clips: {seconds:.0f} s\n", flush=True)


def print_baselines(sizes: dict[str, int], clips: int) -> None:
    """Print what fitting every baseline takes."""
    pooled = made_up_pools(sizes, clips)
    rng = np.random.default_rng(SEED)
    words = np.array([" ".join(rng.choice(2_000, 60).astype(str)) for _ in range(clips)], object)
    known = PooledClips(
        duration=np.full((clips, 1), math.log(30)),
        modalities=pooled,
        metadata=rng.normal(size=(clips, 11)),
        creator=creators(clips),
        words=words,
    )
    target = planted(pooled)
    total = 0.0
    for name in baseline_names(tuple(sizes)):
        taken = processor_seconds(
            lambda name=name: fit_baseline(name, known, target, creators(clips), SEED)
        )
        total += taken
        print(f"{name}: {taken:.1f} s", flush=True)
    print(f"all baselines, {clips} clips: {total:.0f} s", flush=True)


def made_up_pools(sizes: dict[str, int], clips: int) -> dict[str, np.ndarray]:
    """Return pooled tokens of many clips by modality, float32 [N, pools * size] each."""
    rng = np.random.default_rng(SEED)
    shape = {name: (clips, len(POOLS) * size) for name, size in sizes.items()}
    return {name: rng.standard_normal(each, np.float32) for name, each in shape.items()}


def planted(pooled: dict[str, np.ndarray]) -> np.ndarray:
    """Return views, half of whose variance one number of each modality explains, [N]."""
    signal = np.sum([rows[:, 0] for rows in pooled.values()], axis=0) / math.sqrt(len(pooled))
    noise = np.random.default_rng(SEED + 1).normal(size=len(signal))
    return np.asarray((signal + noise) / math.sqrt(2), np.float64)


def creators(clips: int) -> np.ndarray:
    """Return who made each clip, [N]."""
    return np.array([f"creator{number // CLIPS_PER_CREATOR}" for number in range(clips)])


def processor_seconds(work: Callable[[], object]) -> float:
    """Return the processor time of some work."""
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
