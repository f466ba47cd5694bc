"""What the tokens of each modality know of real videos, and what a model could make of it.

    .venv/bin/python benchmarks/probe.py --fetch          # once: films, photographs, sounds; 600 MB
    .venv/bin/python benchmarks/probe.py [--pieces 390] [--data data/probe]

Cuts short pieces from real films and photographs with real sounds, measures what is seen and heard
in them with tools of its own, runs the project's stages on them, and asks a ridge on the pooled
tokens for each factor: R² over all pieces, each predicted from other sources. Then views that hang
on two factors are planted: 0.80 of their variance is theirs, and what is reached of that counts.
Modalities are taken as they are found: all that the pipeline `modalities` makes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from probe_factors import SOUND, VISUAL, measure
from probe_material import fetch, find_sources, missing
from probe_render import Piece, plan_pieces, render
from probe_ridge import (
    Folds,
    r_squared,
    readout_out_of_fold,
    ridge_out_of_fold,
    source_folds,
)

from tiktok_virality.datasets import StageStore
from tiktok_virality.models.baseline_estimators import fit_boosting
from tiktok_virality.models.configs import BoostingConfig
from tiktok_virality.models.pooling import pool as pool_clip
from tiktok_virality.models.pooling import stack_pooled

ROOT = Path(__file__).parents[1]
SEED = 7
PLANTED_SHARE, PLANTED_PAIRS, TREES = 0.80, 10, 80
FACTORS = (*VISUAL, *SOUND)
GOALS = {"visual factors": 0.60, "sound factors": 0.70}
SUFFIX = "_embeddings"
PARAMS = "audio.whisper.temperatures=[0.0]"
"""Spares Whisper new attempts at words that it did not understand, which change no token."""


def pool(rows: Sequence[np.ndarray | None]) -> np.ndarray:
    """Pool the tokens of each piece as the project's baselines do; NaN where there are none."""
    size = next(tokens.shape[1] for tokens in rows if tokens is not None)
    pooled = stack_pooled([None if tokens is None else pool_clip(tokens) for tokens in rows], size)
    return np.asarray(pooled, np.float64)


def main() -> None:
    """Make what is missing of the corpus, run the stages, and print and write the tables."""
    options = _options()
    data = options.data.resolve()
    material = (options.material or data / "material").resolve()
    if options.fetch:
        fetch(material)
    if not options.skip_render:
        make_corpus(data, material, options.clips, options.pieces, options.workers)
    if not options.skip_stages:
        run_stages(data, options.modalities, options.params)
    pieces = pd.read_parquet(data / "pieces.parquet").set_index("piece")
    pooled = {name: _read(data, name, list(pieces.index)) for name in _found(data, options)}
    if not pooled:
        raise SystemExit(f"No tokens under {data / '04_feature'}: run without --skip-stages.")
    parts = {name: _parts(data, name) for name in pooled}
    table, planted = probe(pieces, pooled, parts)
    text = _markdown(table, planted, pieces, pooled)
    print(text)
    (data / "probe.md").write_text(text + "\n")
    found = {
        "pieces": len(pieces),
        "sources": int(pieces["source"].nunique()),
        "columns": {name: int(values.shape[1]) for name, values in pooled.items()},
        "r2": {way: column.round(4).to_dict() for way, column in table.items()},
        "planted": {way: column.round(4).to_dict() for way, column in planted.items()},
    }
    (data / "probe.json").write_text(json.dumps(found, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT / "data/probe")
    parser.add_argument(
        "--material", type=Path, help="unpacked packages; in --data where not given"
    )
    parser.add_argument("--clips", type=Path, default=ROOT.parent / "shared/clips")
    parser.add_argument("--pieces", type=int, default=390)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--modalities", nargs="*", help="all that are found where not given")
    parser.add_argument("--params", default=PARAMS, help="of kedro run")
    parser.add_argument("--fetch", action="store_true", help="download the material first")
    parser.add_argument("--skip-render", action="store_true", help="keep the pieces as they are")
    parser.add_argument("--skip-stages", action="store_true", help="keep the tokens as they are")
    return parser.parse_args()


def make_corpus(data: Path, material: Path, clips: Path, count: int, workers: int) -> None:
    """Render and measure pieces, and write ``metadata.json`` and ``pieces.parquet``.

    Pieces of an earlier run are kept; delete ``pieces.parquet`` to make them anew.
    """
    sources = find_sources(material, clips, SEED)
    for name in missing(material):
        print(f"Not there, and left out: {name} (--fetch downloads it)", file=sys.stderr)
    if not sources:
        raise SystemExit(f"Nothing to cut pieces from in {material} and {clips}; try --fetch.")
    videos = data / "01_raw/videos"
    videos.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    planned = plan_pieces(sources, count, SEED)
    rows = _made_before(data, planned)
    with ProcessPoolExecutor(workers, get_context("spawn")) as workshop:
        for row in workshop.map(partial(_make, folder=videos), planned[len(rows) :]):
            rows.append(row)
            if len(rows) % 20 == 0:  # an interrupt costs little
                pd.DataFrame(rows).to_parquet(data / "pieces.parquet")
    for path in videos.glob("*.mp4"):
        if path.stem not in {row["piece"] for row in rows}:
            path.unlink()
    pd.DataFrame(rows).to_parquet(data / "pieces.parquet")
    views = np.random.default_rng(SEED).lognormal(10, 1.5, len(rows)).astype(int)
    posts = [
        {"id": row["piece"], "views": int(seen), "creator": str(row["source"]).replace(" ", "_")}
        | {"url": f"https://example.com/{row['piece']}", "posted_at": f"2024-01-{1 + n % 28:02d}"}
        for n, (row, seen) in enumerate(zip(rows, views, strict=True))
    ]
    (data / "01_raw/metadata.json").write_text(json.dumps(posts, indent=1) + "\n")
    minutes = (time.monotonic() - started) / 60
    print(f"{count} pieces of {len(sources)} sources in {minutes:.1f} min", file=sys.stderr)


def _made_before(data: Path, planned: Sequence[Piece]) -> list[dict[str, object]]:
    """Return the first rows of an earlier run, as long as they are of the same pieces."""
    if not (data / "pieces.parquet").is_file():
        return []
    before = pd.read_parquet(data / "pieces.parquet").to_dict("records")
    kept: list[dict[str, object]] = []
    for row, piece in zip(before, planned, strict=False):
        there = (data / "01_raw/videos" / f"{piece.name}.mp4").is_file()
        if (row["piece"], row["source"]) != (piece.name, piece.source.name) or not there:
            break
        kept.append({str(name): value for name, value in row.items()})
    return kept


def _make(piece: Piece, folder: Path) -> dict[str, object]:
    known = render(piece, folder)
    found = measure(folder / f"{piece.name}.mp4", known["words"])
    return {"piece": piece.name, "source": piece.source.name, **found}


def run_stages(data: Path, modalities: Sequence[str] | None, params: str) -> None:
    """Run ingestion and the pipelines of the modalities, with the demo's small settings."""
    settings = data / "conf"
    shutil.copytree(ROOT / "conf", settings, dirs_exist_ok=True)
    small = yaml.safe_load((settings / "demo/globals.yml").read_text())
    (settings / "demo/globals.yml").write_text(yaml.safe_dump(small | {"data": str(data)}))
    kedro = [sys.executable, "-m", "kedro", "run", "--env", "demo", "--conf-source", str(settings)]
    kedro += ["--params", params] if params else []
    for name in ("ingestion", *(modalities or ("modalities",))):
        started = time.monotonic()
        subprocess.run([*kedro, "--pipelines", name], cwd=ROOT, check=True, stdout=sys.stderr)
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)


def _found(data: Path, options: argparse.Namespace) -> list[str]:
    there = [p.name.removesuffix(SUFFIX) for p in (data / "04_feature").glob(f"*{SUFFIX}")]
    return sorted(name for name in there if name in (options.modalities or there))


def _read(data: Path, modality: str, ids: Sequence[str]) -> np.ndarray:
    """Return the pooled tokens of each piece, [N, F]; NaN where it has none."""
    table = StageStore(filepath=str(data / "04_feature" / f"{modality}{SUFFIX}")).load()
    known = set(table.ids)
    return pool([table.row(i, ["tokens"])["tokens"] if i in known else None for i in ids])


def _parts(data: Path, modality: str) -> tuple[int, ...]:
    """Return how many numbers of a token belong together."""
    table = StageStore(filepath=str(data / "04_feature" / f"{modality}{SUFFIX}")).load()
    row = table.row(table.ids[0])
    return tuple(int(n) for n in row.get("parts", [row["tokens"].shape[1]]))


def probe(
    pieces: pd.DataFrame,
    pooled: Mapping[str, np.ndarray],
    parts: Mapping[str, tuple[int, ...]],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return R² by factor and way to know it, and what is reached of planted views.

    Args:
        pieces: The factors, and the source of each piece.
        pooled: Pooled tokens by modality, [N, F] each.
        parts: How many numbers of a token belong together, by modality.
    """
    sources = pieces["source"].to_numpy()
    ways = {**pooled, "all": np.concatenate(list(pooled.values()), axis=1)}
    targets = pieces[list(FACTORS)].to_numpy(np.float64)
    columns = {way: _factor_r2(known, targets, sources) for way, known in ways.items()}
    rows = ~np.isnan(targets).any(axis=1)
    known = {name: values[rows] for name, values in pooled.items()}
    said = readout_out_of_fold(
        known, parts, targets[rows], sources[rows], source_folds(sources[rows], SEED)
    )
    columns["readout, all"] = r_squared(targets[rows], said)
    table = pd.DataFrame(columns, index=list(FACTORS))
    table.loc["visual factors"] = table.loc[list(VISUAL)].mean()
    table.loc["sound factors"] = table.loc[list(SOUND)].mean()
    return table, plant(targets, pooled, parts, sources)


def _factor_r2(known: np.ndarray, targets: np.ndarray, sources: np.ndarray) -> np.ndarray:
    """R² of each factor, over the pieces that have it."""
    scores = np.full(targets.shape[1], np.nan)
    for columns in (range(len(VISUAL)), range(len(VISUAL), len(FACTORS))):
        at = list(columns)
        rows = ~np.isnan(targets[:, at]).any(axis=1)
        folds = source_folds(sources[rows], SEED)
        said = ridge_out_of_fold(known[rows], targets[np.ix_(rows, at)], sources[rows], folds)
        scores[at] = r_squared(targets[np.ix_(rows, at)], said)
    return scores


def plant(
    targets: np.ndarray,
    pooled: Mapping[str, np.ndarray],
    token_parts: Mapping[str, tuple[int, ...]],
    sources: np.ndarray,
) -> pd.DataFrame:
    """Plant views on pairs of factors, and return what each model reaches of 0.80, by pair."""
    rng = np.random.default_rng(SEED)
    rows = ~np.isnan(targets).any(axis=1)
    scores = _standard(targets[rows])
    pairs = [rng.choice(len(FACTORS), 2, replace=False) for _ in range(PLANTED_PAIRS)]
    signal = _standard(np.stack([scores[:, a] + scores[:, b] for a, b in pairs], axis=1))
    noise = _standard(rng.normal(size=signal.shape))
    views = PLANTED_SHARE**0.5 * signal + (1 - PLANTED_SHARE) ** 0.5 * noise
    folds = source_folds(sources[rows], SEED)
    tokens = np.concatenate([known[rows] for known in pooled.values()], axis=1)
    ends = np.cumsum([known.shape[1] for known in pooled.values()])
    parts = {
        name: slice(int(end) - known.shape[1], int(end))
        for (name, known), end in zip(pooled.items(), ends, strict=True)
    }
    said = {
        "ridge on factors": ridge_out_of_fold(scores, views, sources[rows], folds),
        "ridge on tokens": ridge_out_of_fold(tokens, views, sources[rows], folds),
        "readout on tokens": readout_out_of_fold(
            {name: known[rows] for name, known in pooled.items()},
            token_parts,
            views,
            sources[rows],
            folds,
        ),
        "boosting on factors": _boosted(scores, views, sources[rows], folds, {}),
        "boosting on tokens": _boosted(tokens, views, sources[rows], folds, parts),
    }
    names = [" + ".join(FACTORS[place] for place in sorted(pair)) for pair in pairs]
    reached = {way: r_squared(views, values) / PLANTED_SHARE for way, values in said.items()}
    table = pd.DataFrame(reached, index=names)
    table.loc["mean"] = table.mean()
    return table


def _standard(values: np.ndarray) -> np.ndarray:
    return np.asarray((values - values.mean(0)) / values.std(0))


def _boosted(
    known: np.ndarray,
    views: np.ndarray,
    sources: np.ndarray,
    folds: Folds,
    parts: Mapping[str, slice],
) -> np.ndarray:
    from threadpoolctl import threadpool_limits

    said, config = np.empty_like(views), BoostingConfig(max_iter=TREES)
    with threadpool_limits(1):
        for learn, ask in folds:
            for k in range(views.shape[1]):
                fitted = fit_boosting(known[learn], views[learn, k], sources[learn], parts, config)
                said[ask, k] = fitted.predict(known[ask])
    return said


def _markdown(
    table: pd.DataFrame,
    planted: pd.DataFrame,
    pieces: pd.DataFrame,
    pooled: Mapping[str, np.ndarray],
) -> str:
    shapes = ", ".join(f"{name} {values.shape[1]}" for name, values in pooled.items())
    lines = [f"{len(pieces)} pieces, {pieces['source'].nunique()} sources; columns: {shapes}", ""]
    lines += _rows("R²", table, GOALS)
    return "\n".join([*lines, "", *_rows(f"planted, of {PLANTED_SHARE:.2f}", planted, {})])


def _rows(title: str, table: pd.DataFrame, goals: Mapping[str, float]) -> list[str]:
    lines = [f"| {title} | " + " | ".join(table) + " |", "|---" * (table.shape[1] + 1) + "|"]
    for name, row in table.iterrows():
        goal = f" (goal {goals[str(name)]:.2f})" if name in goals else ""
        lines.append(f"| {name}{goal} | " + " | ".join(f"{value:.2f}" for value in row) + " |")
    return lines


if __name__ == "__main__":
    main()
