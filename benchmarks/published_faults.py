"""What each fault of the published code does to the result: the published system, run with each.

    python benchmarks/published_faults.py               # the environment paper_demo
    python benchmarks/published_faults.py --env paper

Every run goes from videos to the leaderboard; what a fault leaves as it was is not done again. The
last run is without any, so that the folder ends as the environment says.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "published.faults"
RUNS = {
    "the target scaled by held-out clips": {"scaler_on_held_out": "true"},
    "hidden and cell state swapped": {"swapped_states": "true"},
    "moments as tokens, not channels": {"channels_as_tokens": "false"},
    "all three of the authors": {"scaler_on_held_out": "true", "swapped_states": "true"},
    "as published": {},
}
"""By what it is: how it differs from the environment, whose tokens are channels."""

METRICS = ("mse", "mae", "r2", "spearman")


def run(env: str, faults: dict[str, str]) -> list[dict[str, Any]]:
    """Run the environment; return the rows of its leaderboard for the test split."""
    settings = ",".join(f"{PREFIX}.{name}={value}" for name, value in faults.items())
    command = [sys.executable, "-m", "kedro", "run", "--env", env, "--to-outputs", "leaderboard"]
    subprocess.run([*command, *(["--params", settings] if settings else [])], cwd=ROOT, check=True)
    rows = json.loads((ROOT / "data" / env / "08_reporting" / "leaderboard.json").read_text())
    return [row for row in rows if row["split"] == "test"]


def describe(name: str, rows: list[dict[str, Any]], models: tuple[str, ...]) -> list[str]:
    """Return lines of a table in Markdown."""
    by_model = {row["model"]: row for row in reversed(rows)}
    return [
        f"| {name} | {model} | "
        + " | ".join(_written(by_model[model].get(metric)) for metric in METRICS)
        + " |"
        for model in models
    ]


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main() -> None:
    """Run with each fault, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="paper_demo")
    parser.add_argument("--models", nargs="+", default=["published_visual", "published"])
    asked = parser.parse_args()
    lines = ["| run | model | " + " | ".join(METRICS) + " |", "|---|---|" + "---|" * len(METRICS)]
    for name, faults in RUNS.items():
        lines += describe(name, run(asked.env, faults), tuple(asked.models))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
