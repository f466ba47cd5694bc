"""The Ray engine: workers on this machine or on many, as actors of a Ray cluster.

Actors by hand, not Ray Data: Ray Data gives a batch that has killed its worker to the next one
without end and does not say which one it was, while here the clip that kills workers is found and
its neighbours are done (see docs/scaling.md).
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from threading import Thread
from typing import Any, Final

from tiktok_virality.execution.limits import (
    Excess,
    ItemLimits,
    end_with_children,
    excess,
    own_usage,
)
from tiktok_virality.execution.local import DEATH, WATCH_EVERY_SECONDS
from tiktok_virality.execution.plan import Resources, StageItem
from tiktok_virality.execution.work import BatchReport, StageWork
from tiktok_virality.execution.workers import Batch
from tiktok_virality.schema import StageError

logger = logging.getLogger(__name__)

AUTO: Final = "auto"
CLIENT_SCHEME: Final = "ray://"
CLIENT_PORT: Final = 10001
REACH_SECONDS: Final = 5.0
WORKER_SECONDS: Final = 60.0
MOST_FAILED_STARTS: Final = 3
OBJECT_STORE_BYTES: Final = 256 * 2**20
"""Of a cluster of our own: it holds the transform of a stage, and never results."""


@dataclass(frozen=True, kw_only=True)
class RayEngine:
    """Runs a stage on a Ray cluster.

    A connection that the process has already is used; it has one at most.

    Attributes:
        workers: Cores to use; ``None`` takes all that the cluster has when a stage begins.
        address: Of the cluster: ``None`` starts one on this machine, ``auto`` joins the one that
            this machine belongs to, ``host:port`` or ``ray://host:port`` one elsewhere.
        item_seconds: Time that a worker may take for one item; ``None`` is no limit.
        item_gigabytes: Memory that a worker may take, 10^9 bytes; ``None`` is no limit.
    """

    workers: int | None = None
    address: str | None = None
    item_seconds: float | None = None
    item_gigabytes: float | None = None

    def run(
        self, batches: Iterable[Batch], work: StageWork, resources: Resources
    ) -> Iterator[BatchReport]:
        """Yield a report as each batch is finished and written, in any order.

        A worker that dies or passes a limit costs only the item that it was busy with: its batch is
        taken again one item at a time, and an item whose worker dies once more is recorded as
        failed. Workers that are lost, alone or with their node, are replaced. For what wants all
        cores or the GPU no limit holds, as nowhere.

        Raises:
            StageError: Ray is not installed, there is no cluster at the address, or no worker of
                it can start.
        """
        waiting = iter(batches)
        if not (first := list(islice(waiting, 1))):
            return
        connect(self.address)
        share, count = share_of_a_worker(living_nodes(), resources, self.workers)
        first += islice(waiting, count - 1)
        is_limited = resources.limited and not resources.in_process
        limits = ItemLimits(seconds=self.item_seconds, gigabytes=self.item_gigabytes)
        limits = limits if is_limited else ItemLimits()
        pool = _Pool(work, limits, share, _Waiting([*first], waiting))
        try:
            yield from pool.run(len(first))
        finally:
            pool.close()


def connect(address: str | None) -> None:
    """Join a cluster, or start one that ends with this process.

    Raises:
        StageError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray = ray_library()
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise StageError(
            "engine.type is 'ray' in globals.yml, and Ray is not installed: install the extra "
            "`ray`, as in `pip install -c constraints.txt -e '.[ray]'`."
        ) from None
    if address is not None:
        _check_reachable(address)
    if ray.is_initialized():
        return
    _keep_quiet(ray)
    how: dict[str, Any] = {"address": address}
    if address is None:
        os.environ.setdefault("RAY_worker_niceness", "0")  # as the local engine's; Ray's is 15
        how = {"address": "local", "include_dashboard": False}
        how["object_store_memory"] = OBJECT_STORE_BYTES
    try:
        ray.init(**how, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray has no class of its own for this
        raise _no_cluster(address, str(error)) from None


def _keep_quiet(ray: Any) -> None:
    """Keep out of the output what Ray says of itself.

    No option holds back its paragraph on every worker that dies, of which the failure table and
    the log of the stage tell enough; it is logged as a detail.
    """
    logging.getLogger("ray").setLevel(logging.ERROR)
    # a private name: without it, the paragraphs are printed
    vars(ray._private.worker)["print_to_stdstream"] = lambda data, **_: logger.debug(
        "%s", "\n".join(map(str, data["lines"]))
    )


def _check_reachable(address: str) -> None:
    """Look whether anybody listens: Ray itself tries for minutes, and then ends the process.

    Raises:
        StageError: Nobody does, or this is no address.
    """
    if address == AUTO:
        return
    place = address.removeprefix(CLIENT_SCHEME)
    host, _, port = place.rpartition(":") if ":" in place else (place, "", str(CLIENT_PORT))
    if not host or not port.isdecimal():
        raise StageError(
            f"engine.address is {address!r} in globals.yml: give 'auto', 'host:port', "
            "'ray://host:port', or null for a cluster on this machine."
        )
    try:
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise _no_cluster(address, str(error)) from None


def _no_cluster(address: str | None, why: str) -> StageError:
    told = " ".join(why.split())
    if address is None:
        return StageError(f"Ray does not start on this machine: {told}")
    return StageError(
        f"No Ray cluster can be joined at {address!r} (engine.address in globals.yml): {told} "
        "Start one with `ray start --head`, or set engine.address to null for one on this machine."
    )


def living_nodes() -> list[Mapping[str, float]]:
    """Return what each living node of the cluster has: ``CPU``, ``GPU`` and so on."""
    return [node["Resources"] for node in ray_library().nodes() if node["Alive"]]


def share_of_a_worker(
    nodes: Sequence[Mapping[str, float]], resources: Resources, cores: int | None
) -> tuple[dict[str, int], int]:
    """Return what a worker takes of its node, and how many workers there shall be.

    A model that wants all cores or the GPU takes one GPU with its part of the cores, where there
    are GPUs; otherwise as many cores as the smallest node has.

    Args:
        nodes: What each has.
        resources: What the stage wants.
        cores: To use in all; ``None`` for all that there are.

    Returns:
        The options of an actor, and the number of workers.
    """
    cpus = [(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes]
    with_cpu = [each for each in cpus if each[0]] or [(1, 0)]  # none yet: they start on demand
    with_gpu = [each for each in with_cpu if each[1]]
    if not resources.in_process:
        share, count = {"num_cpus": 1}, sum(cpu for cpu, _ in with_cpu)
    elif with_gpu:
        share = {"num_cpus": max(1, min(cpu // gpu for cpu, gpu in with_gpu)), "num_gpus": 1}
        count = sum(gpu for _, gpu in with_gpu)
    else:
        share = {"num_cpus": min(cpu for cpu, _ in with_cpu)}
        count = sum(cpu // share["num_cpus"] for cpu, _ in with_cpu)
    wanted = count if cores is None else max(1, cores // share["num_cpus"])
    return share, min(wanted, resources.max_workers or wanted)


@dataclass
class _Waiting:
    """What is to be done: items that are under suspicion alone and first, then batches."""

    first: list[Batch]
    others: Iterator[Batch]
    suspects: deque[StageItem] = field(default_factory=deque)

    def next(self) -> tuple[Batch, bool] | None:
        """Return a batch, and whether it is an item under suspicion; ``None`` when all is done."""
        if self.suspects:
            return [self.suspects.popleft()], True
        batch = self.first.pop(0) if self.first else next(self.others, None)
        return None if batch is None else (batch, False)


@dataclass(frozen=True, kw_only=True)
class _Busy:
    """What a worker is doing: since when, and what it had computed before."""

    batch: Batch
    is_suspect: bool
    began: float
    cpu_before: float


class _Worker:
    """What an actor does. It is given its work after it has started, so that both can be told."""

    def start(self, pickled_work: bytes, limits: ItemLimits) -> None:
        """Unpack the work, which a node without this project cannot."""
        self._work: StageWork = ray_library().cloudpickle.loads(pickled_work)
        self._limits = limits
        self._busy: _Busy | None = None
        Thread(target=self._watch, args=(os.getppid(),), daemon=True).start()

    def run(self, batch: Batch, is_suspect: bool) -> BatchReport:
        """Process a batch and write its part."""
        computed = 0.0 if self._limits == ItemLimits() else own_usage().cpu_seconds
        self._busy = _Busy(
            batch=batch, is_suspect=is_suspect, began=time.monotonic(), cpu_before=computed
        )
        try:
            return self._work(batch)
        finally:
            self._busy = None

    def _watch(self, parent: int) -> None:
        """End this process once it has passed a limit; of an item under suspicion, say why.

        Without the process of Ray that has started it, nobody would hear of it: then it ends, too.
        """
        while os.getppid() == parent:
            time.sleep(WATCH_EVERY_SECONDS)
            busy = self._busy
            passed = None if busy is None else self._excess(busy)
            if busy is None or passed is None or self._busy is not busy:
                continue
            if busy.is_suspect:
                self._work.record(busy.batch, [passed.failure(i.video_id) for i in busy.batch])
            break
        end_with_children(os.getpid())

    def _excess(self, busy: _Busy) -> Excess | None:
        if self._limits == ItemLimits():
            return None
        usage = own_usage()
        since = replace(usage, cpu_seconds=usage.cpu_seconds - busy.cpu_before)
        return excess(since, time.monotonic() - busy.began, len(busy.batch), self._limits)


class _Pool:
    """Actors, each with one batch under way, so that it is known which one a death is due to.

    Only an actor that has started is given a batch: where the cluster has no room, or gets more
    when it grows, nothing waits behind an actor that may never be.
    """

    def __init__(
        self, work: StageWork, limits: ItemLimits, share: Mapping[str, int], waiting: _Waiting
    ) -> None:
        ray = ray_library()
        self._work = work
        self._limits = limits
        self._waiting = waiting
        self._actor_class = ray.remote(**share, max_restarts=0, max_task_retries=0)(_Worker)
        self._share = share
        self._pickled_work = ray.put(ray.cloudpickle.dumps(work))
        self._starting: dict[Any, Any] = {}  # the actor by the answer that it has started
        self._running: dict[Any, tuple[Any, Batch, bool]] = {}  # by the report of the batch
        self._failed_starts = 0

    def run(self, workers: int) -> Iterator[BatchReport]:
        """Yield the report of every batch."""
        for _ in range(workers):
            self._start_worker()
        while self._starting or self._running:
            answers = [*self._running, *self._starting]
            finished, _ = ray_library().wait(answers, timeout=WORKER_SECONDS)
            if not finished and not self._running:
                logger.warning(
                    "The Ray cluster has no room for a worker yet: it wants %s. Waiting.",
                    ", ".join(f"{amount} {name}" for name, amount in self._share.items()),
                )
            for answer in finished:
                if answer in self._starting:
                    self._admit(answer)
                else:
                    yield from self._take(answer)

    def close(self) -> None:
        """End every worker; what they have written is kept."""
        for actor in [*self._starting.values(), *(actor for actor, *_ in self._running.values())]:
            end_actor(actor)
        self._starting.clear()
        self._running.clear()

    def _start_worker(self) -> None:
        actor = self._actor_class.remote()
        self._starting[actor.start.remote(self._pickled_work, self._limits)] = actor

    def _admit(self, answer: Any) -> None:
        """Give an actor that has started its first batch.

        Raises:
            StageError: Several in a row could not start.
        """
        actor = self._starting.pop(answer)
        try:
            result_of(answer)
        except deaths() as error:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                raise StageError(
                    f"Workers of the Ray cluster end as soon as they are started: {error} "
                    "What was finished is kept."
                ) from None
            self._start_worker()
        except Exception as error:
            raise StageError(
                f"A worker of the Ray cluster cannot read what it is to do "
                f"({type(error).__name__}: {error}). Install the same versions of Python and of "
                "this project on every node."
            ) from error
        else:
            self._failed_starts = 0
            self._give_work(actor, is_fresh=True)

    def _give_work(self, actor: Any, *, is_fresh: bool) -> None:
        """Give an actor its next batch, or let it go where there is none.

        An item under suspicion is given to one that has done nothing before, to be judged alone.
        """
        if self._waiting.suspects and not is_fresh:
            end_actor(actor)
            self._start_worker()
            return
        given = self._waiting.next()
        if given is None:
            end_actor(actor)
        else:
            batch, is_suspect = given
            self._running[actor.run.remote(batch, is_suspect)] = (actor, batch, is_suspect)

    def _take(self, answer: Any) -> Iterator[BatchReport]:
        """Take the report of a batch, or find out what a worker that died has left."""
        actor, batch, is_suspect = self._running[answer]
        try:
            report = result_of(answer)
        except deaths():
            del self._running[answer]
            end_actor(actor)  # one that is merely out of reach would go on
            yield from self._after_death(batch, is_suspect)
            return
        del self._running[answer]
        self._give_work(actor, is_fresh=False)
        yield report

    def _after_death(self, batch: Batch, is_suspect: bool) -> Iterator[BatchReport]:
        if (report := self._work.recall(batch)) is not None:
            yield report
        elif is_suspect:
            for item in batch:
                logger.warning("%s: %s (%s)", item.video_id, DEATH.reason, DEATH.detail)
            yield self._work.record(batch, [DEATH.failure(item.video_id) for item in batch])
        else:
            self._waiting.suspects.extend(batch)
        self._start_worker()


def result_of(answer: Any) -> Any:
    """Return what an actor has answered, or raise what it has raised there."""
    ray = ray_library()
    try:
        return ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error


def deaths() -> tuple[type[Exception], ...]:
    """Return the errors that say that a worker is gone, by itself or with its node."""
    exceptions = ray_library().exceptions
    return (
        exceptions.RayActorError,
        exceptions.OutOfMemoryError,
        exceptions.NodeDiedError,
        exceptions.WorkerCrashedError,
    )


def end_actor(actor: Any) -> None:
    """End an actor at once, or as soon as it is in reach."""
    ray_library().kill(actor)


def ray_library() -> Any:
    """Return Ray, which is loaded by whoever uses this engine, and by nobody else."""
    import ray

    return ray
