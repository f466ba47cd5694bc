"""How much of a machine one item may take, and who has taken more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tiktok_virality.execution.plan import Failed

if TYPE_CHECKING:
    from psutil import Process

GIGABYTE: Final = 10**9
BUSY_SHARE: Final = 0.1
"""A worker that computed for less of its time than this has waited for something."""


@dataclass(frozen=True, kw_only=True)
class ItemLimits:
    """What a worker may take for one item before it is ended; ``None`` is no limit.

    Attributes:
        seconds: Wall time; a batch of n items may take n times as long.
        gigabytes: Memory of the worker and what it has started, 10^9 bytes. Pages of mapped files
            do not count: the system takes them back when it needs them.
    """

    seconds: float | None = None
    gigabytes: float | None = None


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process and all that it has started have taken so far.

    Attributes:
        cpu_seconds: Computing.
        memory_bytes: Held now, without pages of mapped files.
    """

    cpu_seconds: float
    memory_bytes: int

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
            memory_bytes=self.memory_bytes + other.memory_bytes,
        )


@dataclass(frozen=True, kw_only=True)
class Excess:
    """That a limit was passed.

    Attributes:
        reason: A phrase that tables count by.
        detail: How much it was.
        is_verdict: Whether it is the item's doing.
    """

    reason: str
    detail: str
    is_verdict: bool = True

    def failure(self, video_id: str) -> Failed:
        """Return the row of the failure table."""
        return Failed(
            video_id=video_id, reason=self.reason, detail=self.detail, is_verdict=self.is_verdict
        )


def excess(usage: Usage, seconds: float, items: int, limits: ItemLimits) -> Excess | None:
    """Say which limit is passed, if any.

    One who has waited for most of the time, as for a disk that does not answer, is not to blame.

    Args:
        usage: Computing since the batch began, and memory now.
        seconds: Since the batch began.
        items: Of the batch.
        limits: Of one item.
    """
    if limits.gigabytes is not None and usage.memory_bytes > limits.gigabytes * GIGABYTE:
        return Excess(
            reason="took too much memory",
            detail=f"{usage.memory_bytes / GIGABYTE:.1f} GB, and engine.item_gigabytes is "
            f"{limits.gigabytes:g}",
        )
    if limits.seconds is not None and seconds > limits.seconds * items:
        is_busy = usage.cpu_seconds >= BUSY_SHARE * seconds
        return Excess(
            reason="took too long" if is_busy else "waited too long",
            detail=f"no end after {seconds:.1f} s, of which {usage.cpu_seconds:.1f} s computing; "
            f"engine.item_seconds is {limits.seconds:g}",
            is_verdict=is_busy,
        )
    return None


def computed_by(pid: int) -> float:
    """Return for how long a process has computed, in seconds; 0 where it has ended."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return float(sum(psutil.Process(pid).cpu_times()[:4]))
    return 0.0


def usage_of(pids: Iterable[int]) -> dict[int, Usage]:
    """Return what child processes of this one have taken, each with all that it has started."""
    import psutil

    wanted = frozenset(pids)
    everyone = psutil.Process().children(recursive=True)
    parents: dict[int, int] = {}
    for process in everyone:
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end at any moment
            parents[process.pid] = process.ppid()
    taken = dict.fromkeys(wanted, Usage(cpu_seconds=0.0, memory_bytes=0))
    for process in everyone:
        owner = _ancestor(process.pid, wanted, parents)
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if owner is not None:
                taken[owner] += _usage_alone(process)
    return taken


def own_usage() -> Usage:
    """Return what this process has taken, with all that it has started."""
    import psutil

    total, own = Usage(cpu_seconds=0.0, memory_bytes=0), psutil.Process()
    for process in [own, *own.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += _usage_alone(process)
    return total


def _usage_alone(process: Process) -> Usage:
    times, memory = process.cpu_times(), process.memory_info()
    shared = getattr(memory, "shared", 0)  # which only Linux tells apart
    return Usage(cpu_seconds=sum(times[:4]), memory_bytes=memory.rss - shared)


def end_with_children(pid: int) -> None:
    """Kill a child process and all that it has started, as a decoder on the command line."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        for each in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def _ancestor(pid: int, wanted: frozenset[int], parents: Mapping[int, int]) -> int | None:
    while pid not in wanted and pid in parents:
        pid = parents[pid]
    return pid if pid in wanted else None
