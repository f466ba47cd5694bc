"""Whether explanations point at what moved the answer.

Clips of the demo (run `make run` first) get one second of one of two scenes, which are a second of
two other clips, in a place that is drawn: one scene lifts views, the other lowers them, and nothing
else counts but chance. The ensemble learns from other creators, and is explained on clips that it
has not seen:

    .venv/bin/python benchmarks/explanations.py [--folds 3]

Pointing game (Zhang et al., 2018): how often the second that moves the answer most is the planted
one. Deletion and insertion (Petsiuk et al., 2018): what is left of the answer's distance from the
answer about nothing, averaged over the share of seconds that are taken away, or put back, in
the order of their effects and in a random one. Sanity (Adebayo et al., 2018): the same of a model
that learned from shuffled views. Scenes are planted in the tokens: these are what is explained.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from tiktok_virality.datasets import StageStore
from tiktok_virality.evaluation.cross_fitting import assign_folds
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.parameters import check_parameters
from tiktok_virality.serving.scorer import TrainedProject
from tiktok_virality.training import occlusion
from tiktok_virality.training.corpus import ClipTokens, ModelInput, assemble_all, read_tokens
from tiktok_virality.training.lineup import Recipe, Setting, train_late_fusion
from tiktok_virality.training.predicting import predict_log_views

DATA = Path("data/demo")
NOISE = 0.5
"""Of the deviation of the views; the scenes make the rest."""

SCENE_SECOND = 2


@dataclass(frozen=True)
class Planted:
    """A clip with a scene: which, in which second."""

    clip: ClipTokens
    second: int
    sign: int


def main() -> None:
    """Plant, train, explain, and print a table in Markdown."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--folds", type=int, default=3)
    options.add_argument("--seed", type=int, default=1)
    asked = options.parse_args()
    parameters = check_parameters(dict(TrainedProject.at(Path.cwd(), "demo").parameters))
    manifest = pd.read_parquet(DATA / "03_primary" / "manifest.parquet")
    tables = {
        name: StageStore(filepath=str(DATA / "04_feature" / f"{name}_embeddings")).load()
        for name in parameters.modalities
    }
    rng = np.random.default_rng(asked.seed)
    planted = plant(manifest, read_tokens(manifest["video_id"].tolist(), tables, timed=True), rng)
    manifest = manifest[manifest["video_id"].isin(planted)]
    views = {
        key: 8 + each.sign * np.sqrt(1 - NOISE**2) + NOISE * rng.normal()
        for key, each in planted.items()
    }
    splits = assign_folds(manifest, parameters.ingestion.splits.strategy, 5, asked.seed)
    _, divisions = assemble_all(manifest, splits, tables, parameters.modeling.target)
    modeling = parameters.modeling
    recipe = Recipe(
        transformer=modeling.transformer,
        training=modeling.training,
        fine_tuning=modeling.fine_tuning,
    )
    found = []
    with TemporaryDirectory(prefix="explain-") as folder:
        for number, division in enumerate(divisions[: asked.folds]):
            for kind in ("model", "learned from shuffled views"):
                clips = with_scenes(division, planted, views, shuffled=kind != "model", rng=rng)
                setting = Setting(
                    seed=asked.seed, device="cpu", checkpoints=Path(folder) / f"{number}{kind[:5]}",
                    quiet=True,
                )  # fmt: skip
                _, ensemble = train_late_fusion(setting, clips, recipe)
                test = clips.splits["test"]
                for key, creator in zip(test.ids, test.groups, strict=True):
                    moments = occlusion.moments_of(seconds(planted[key].clip))
                    row = explained(ensemble, planted[key], moments, rng)
                    found.append({"kind": kind, "creator": creator, **row})
    print(table(pd.DataFrame(found)))


def plant(
    manifest: pd.DataFrame, clips: Sequence[ClipTokens], rng: np.random.Generator
) -> dict[str, Planted]:
    """Give every clip but the two that lend them one second of a scene."""
    whole = [k for k, clip in enumerate(clips) if len(clip.times) >= 5]
    lenders = [int(k) for k in rng.choice(whole, 2, replace=False)]
    ids = manifest["video_id"].tolist()
    planted = {}
    for place, clip in enumerate(clips):
        if place in lenders:
            continue
        sign = int(rng.choice([-1, 1]))
        second = int(rng.integers(seconds(clip)))
        scene = clips[lenders[(sign + 1) // 2]]
        tokens = {
            name: spliced(clip, scene, name, second) if name in clip.times else each
            for name, each in clip.tokens.items()
        }
        planted[ids[place]] = Planted(replace(clip, tokens=tokens), second, sign)
    return planted


def spliced(clip: ClipTokens, scene: ClipTokens, name: str, second: int) -> np.ndarray:
    """Return the tokens of a clip, those of one second being those of a scene."""
    if name not in scene.times:
        return clip.tokens[name]
    here = np.floor(clip.times[name]) == second
    there = np.flatnonzero(np.floor(scene.times[name]) == SCENE_SECOND)
    tokens = clip.tokens[name].copy()
    if here.any() and len(there):
        tokens[here] = scene.tokens[name][np.resize(there, here.sum())]
    return tokens


def seconds(clip: ClipTokens) -> int:
    """Return how many seconds the tokens of a clip begin in."""
    return int(max(np.floor(times[-1]) for times in clip.times.values())) + 1


def with_scenes(
    clips: ModelInput,
    planted: dict[str, Planted],
    views: dict[str, float],
    *,
    shuffled: bool,
    rng: np.random.Generator,
) -> ModelInput:
    """Return the clips with their scenes and their views, those that teach shuffled if asked."""
    splits = {}
    for name, part in clips.splits.items():
        truth = np.array([views[key] for key in part.ids])
        if shuffled and name != "test":
            truth = rng.permutation(truth)
        tokens = [planted[key].clip for key in part.ids]
        splits[name] = replace(part, tokens=tokens, log_views=truth)
    return replace(clips, splits=splits, fingerprint=f"{clips.fingerprint}{shuffled}")


def explained(
    model: TrainedModel, planted: Planted, moments: list[occlusion.Moment], rng: np.random.Generator
) -> dict[str, float]:
    """Return whether the planted second was found, and the curves of two orders."""
    clip = planted.clip
    _, effects = occlusion.effects(
        model, clip, [occlusion.without_moments(clip, [each]) for each in moments]
    )
    order = np.argsort(-planted.sign * effects)
    found = {
        "pointed": float(np.abs(effects).argmax() == planted.second),
        "chance": 1 / len(moments),
        "signed": float(np.sign(effects[planted.second]) == planted.sign),
    }
    for name, each in (("", order), ("random ", rng.permutation(len(moments)))):
        deletion, insertion = curves(model, clip, [moments[k] for k in each])
        found |= {f"{name}deletion": deletion, f"{name}insertion": insertion}
    return found


def curves(
    model: TrainedModel, clip: ClipTokens, ordered: list[occlusion.Moment]
) -> tuple[float, float]:
    """Return how much of the answer is left, on average, while seconds go, and while they come."""
    counts = range(len(ordered) + 1)
    gone = [occlusion.without_moments(clip, ordered[:count]) for count in counts]
    there = [occlusion.without_moments(clip, ordered[count:]) for count in counts]
    said = predict_log_views(model, [*gone, *there]).reshape(2, -1)
    nothing, everything = said[0][-1], said[0][0]
    whole = everything - nothing
    if abs(whole) < 1e-3:
        return np.nan, np.nan
    left = (said - nothing) / whole
    return tuple(np.clip(left, -1, 2).mean(axis=1).tolist())


def table(rows: pd.DataFrame) -> str:
    """Return means with 95 % intervals over creators."""
    lines = ["| | " + " | ".join(rows["kind"].unique()) + " |", "|---|" + "---|" * 2]
    for name in rows.columns.drop(["kind", "creator"]):
        cells = [
            interval(part[name], part["creator"]) for _, part in rows.groupby("kind", sort=False)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, f"{len(rows) // 2} clips"])


def interval(values: pd.Series, creators: pd.Series) -> str:
    """Return a mean and the ends of its bootstrap interval, whole creators drawn."""
    known = values.notna()
    by_creator = [part.to_numpy() for _, part in values[known].groupby(creators[known].astype(str))]
    rng = np.random.default_rng(0)
    drawn = [
        np.concatenate([by_creator[k] for k in rng.integers(len(by_creator), size=len(by_creator))])
        for _ in range(2000)
    ]
    low, high = np.quantile([each.mean() for each in drawn], [0.025, 0.975])
    return f"{values[known].mean():.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
