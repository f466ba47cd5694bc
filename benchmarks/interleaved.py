"""Times of several ways to do one thing, taken in turn so that a busy machine is fair to all."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch


def measure(
    peers: Mapping[str, Callable[[], object]], repeats: int, warm_up: bool = True
) -> dict[str, list[float]]:
    """Run every peer once per round, the first of a round changing from round to round.

    Args:
        peers: What to run, by the name that the table shows.
        repeats: Rounds that count.
        warm_up: Whether each peer runs once before, uncounted.

    Returns:
        Seconds of each peer, [repeats], in the order of ``peers``.
    """
    if warm_up:
        for run in peers.values():
            run()
    times: dict[str, list[float]] = {name: [] for name in peers}
    names = list(peers)
    for number in range(repeats):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            start = time.perf_counter()
            peers[name]()
            times[name].append(time.perf_counter() - start)
    return times


def bytes_of_this_process(name: str) -> int:
    """Return what Linux says of this process's memory, such as ``RssAnon`` or ``VmHWM``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    raise SystemExit(f"/proc/self/status has no {name}: tables of memory need Linux")


def print_table(
    times: Mapping[str, Sequence[float]], ours: str, *, clips: int | None = None
) -> dict[str, float]:
    """Print each peer beside ours: medians, and the ratio of each round with its range.

    Args:
        times: Seconds per round, as `measure` returns them.
        ours: The peer that the others are compared with.
        clips: Of one round; gives the clips per minute.

    Returns:
        How many times as fast ours is as each other peer: the median over rounds.
    """
    ratios = {
        name: [theirs / our for theirs, our in zip(each, times[ours], strict=True)]
        for name, each in times.items()
    }
    header = ["peer", "seconds", "spread of seconds", "ours is faster by", "spread of the ratio"]
    rows = [header + ["clips per minute"] * (clips is not None)]
    for name, each in times.items():
        row = [name if name != ours else f"**{name}**", _number(statistics.median(each))]
        row += [_spread(each)]
        row += ["", ""] if name == ours else [_times(ratios[name]), _spread(ratios[name])]
        row += [f"{60 * clips / statistics.median(each):.0f}"] if clips is not None else []
        rows.append(row)
    print_rows(rows)
    return {name: statistics.median(each) for name, each in ratios.items() if name != ours}


def print_rows(rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table, the first row being its head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        print(f"| {' | '.join(cells)} |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def print_machine() -> None:
    """Print what the times depend on: processor, cores, threads, and how busy it is already."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(
        f"{_processor()}, {cores} cores, torch {torch.__version__} with "
        f"{torch.get_num_threads()} threads, load average {load}"
    )


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"


def _times(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f}x"


def _spread(values: Sequence[float]) -> str:
    return f"{_number(min(values))} to {_number(max(values))}"


def _number(value: float) -> str:
    return f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
