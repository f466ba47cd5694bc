"""Ranks of a training as actors of a Ray cluster, spread over its machines.

Actors by hand, not Ray Train, which takes a fault of the training for a lost machine, and runs it
again (see docs/scaling.md).
"""

from __future__ import annotations

import logging
import os
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import Any, Final, Literal

import torch
from torch.distributed.distributed_c10d import Store

from tiktok_virality.execution import Resources
from tiktok_virality.execution.local import WATCH_EVERY_SECONDS
from tiktok_virality.execution.ray_cluster import (
    connect,
    deaths,
    end_actor,
    living_nodes,
    ray_library,
    result_of,
    share_of_a_worker,
)
from tiktok_virality.schema import ParameterError
from tiktok_virality.training.ranks import (
    Done,
    Failed,
    Message,
    RankDiedError,
    Start,
    Work,
    WrittenWork,
    follow,
    log_level,
    take_part,
)

logger = logging.getLogger(__name__)

PLACE: Final = "ranks-"
"""How the folders begin in which ranks find their work."""

PATIENCE_SECONDS: Final = 120.0
"""How long ranks that have started wait for others for which the cluster should have room."""

LOOK_EVERY_SECONDS: Final = 2.0
WAITING_SECONDS: Final = 60.0
ANSWER_SECONDS: Final = 60.0
"""How long a rank may take to say that it is there, after another one has failed."""


@dataclass(kw_only=True)
class ActorGroup:
    """Actors of a Ray cluster: at first as many as are wanted and have room, then what is left.

    Attributes:
        wanted: How many, at most; ``auto``: one for each GPU, or for each machine without.
        device: ``auto``, ``cpu`` or ``cuda``.
        address: Of the cluster; see `RayEngine`.
        cores: To use in all; ``None`` for all that there are.
        folder: Of the training, which every machine has under this path.
        count: Of the latest work.
    """

    wanted: int | Literal["auto"]
    device: str
    address: str | None
    cores: int | None
    folder: Path
    count: int = 1

    def run(self, work: Work, hear: Callable[[Any], None]) -> Any:
        """Do work in all of them at once; see `ranks.Group`.

        Raises:
            StageError: Ray is not installed, or there is no cluster at the address.
            ParameterError: No machine has a GPU, and one is wanted.
            TrainingError: A machine does not see the folder.
        """
        connect(self.address)
        share = share_of_a_rank(living_nodes(), self.wanted, self.device, self.cores)
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.glob(f"{PLACE}*"):  # by a driver that was killed
            shutil.rmtree(left, ignore_errors=True)
        actors: list[Any] = []
        with TemporaryDirectory(prefix=PLACE, dir=self.folder) as place:
            written = WrittenWork.written(work, Path(place).resolve() / "work.pickle")
            try:
                actors += self._started(*share)
                self.count = len(actors)
                return follow(_Actors(self._begun(actors, written, share[0])), hear)
            finally:
                for actor in actors:
                    end_actor(actor)

    def _started(self, share: Mapping[str, int], most: int) -> list[Any]:
        """Start actors, and return those for which there is room, once they are there."""
        ray = ray_library()
        of_rank = ray.remote(
            **share,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=2,  # it is listened to, and asked whether it is there
            scheduling_strategy="SPREAD",
        )(_RankActor)
        actors = [of_rank.remote() for _ in range(most)]
        arriving = {actor.host.remote(): actor for actor in actors}
        hosts: dict[Any, str] = {}
        try:
            self._wait_for(arriving, hosts, share)
        except BaseException:
            hosts.clear()
            raise
        finally:
            for actor in actors:
                if actor not in hosts:
                    end_actor(actor)
        places = ", ".join(f"{count} on {name}" for name, count in Counter(hosts.values()).items())
        if len(hosts) < most or (self.wanted != "auto" and len(hosts) < self.wanted):
            logger.warning(
                "The Ray cluster has no room for %s ranks, each of %s. Training goes on with %d.",
                self.wanted if self.wanted != "auto" else most,
                _in_words(share),
                len(hosts),
            )
        logger.info("Training in %d ranks: %s, each with %s", len(hosts), places, _in_words(share))
        return list(hosts)

    def _wait_for(
        self, arriving: dict[Any, Any], hosts: dict[Any, str], share: Mapping[str, int]
    ) -> None:
        """Wait until all actors that are arriving are there, or as many as there is room for.

        Raises:
            RankDiedError: None could start; a machine may lack this project.
        """
        ray = ray_library()
        why = ""
        began = spoken = time.monotonic()
        while arriving and not self._is_enough(len(hosts), share, time.monotonic() - began):
            finished, _ = ray.wait(list(arriving), timeout=LOOK_EVERY_SECONDS)
            for answer in finished:
                actor = arriving.pop(answer)
                try:
                    hosts[actor] = result_of(answer)
                    began = time.monotonic()
                except deaths() as error:
                    why = " ".join(str(error).split())
            if not hosts and time.monotonic() - spoken > WAITING_SECONDS:
                spoken = time.monotonic()
                logger.warning(
                    "The Ray cluster has no room for a rank yet: it wants %s. Waiting.",
                    _in_words(share),
                )
        if not hosts:
            raise RankDiedError(f"ranks end as soon as they are started: {why}")

    def _is_enough(self, there: int, share: Mapping[str, int], seconds: float) -> bool:
        """Tell whether no more are to be expected: the cluster is full, or others have it."""
        if not there:
            return False
        room = sum(
            min(int(node.get(NAMES[name], 0)) // amount for name, amount in share.items())
            for node in living_nodes()
        )
        return there >= room or seconds > PATIENCE_SECONDS

    def _begun(
        self, actors: Sequence[Any], work: WrittenWork, share: Mapping[str, int]
    ) -> Sequence[Any]:
        """Let actors that are there begin as ranks of one group.

        Raises:
            RankDiedError: One is gone already.
        """
        try:
            meeting = result_of(actors[0].open_meeting.remote())
            answers = [
                actor.begin.remote(
                    Start(
                        work=work,
                        index=index,
                        count=len(actors),
                        backend="nccl" if "num_gpus" in share else "gloo",
                        gpu=0,  # the only one that it sees
                        threads=share["num_cpus"],
                        log_level=log_level(),
                    ),
                    meeting,
                )
                for index, actor in enumerate(actors)
            ]
            for answer in answers:
                result_of(answer)
        except deaths() as error:
            raise RankDiedError(f"a rank was lost as it began ({_first_line(error)})") from error
        return actors


NAMES: Final = {"num_cpus": "CPU", "num_gpus": "GPU"}
"""What a node calls the options of an actor."""


def share_of_a_rank(
    nodes: Sequence[Mapping[str, float]],
    wanted: int | Literal["auto"],
    device: str,
    cores: int | None,
) -> tuple[dict[str, int], int]:
    """Return what a rank takes of its node, and how many ranks there is room for.

    Where there are GPUs, it is one of them with its part of the cores. Otherwise ranks take as many
    cores as let all find room, and ``auto`` is one for each machine.

    Args:
        nodes: What each has.
        wanted: How many ranks, at most.
        device: ``auto``, ``cpu`` or ``cuda``.
        cores: To use in all; ``None`` for all that there are.

    Returns:
        The options of an actor, and the number of ranks, which is at least one.

    Raises:
        ParameterError: ``cuda`` is wanted, and no node has a GPU.
    """
    if device == "cuda" and not any(node.get("GPU", 0) >= 1 for node in nodes):
        raise ParameterError("device: cuda wants GPUs, and no machine of the Ray cluster has one.")
    if device == "cpu":
        nodes = [{"CPU": node.get("CPU", 0)} for node in nodes]
    share, room = share_of_a_worker(nodes, Resources(in_process=True), cores)
    if wanted == "auto" or "num_gpus" in share:
        return share, room if wanted == "auto" else min(room, wanted)
    sizes = [int(node.get("CPU", 0)) for node in nodes]
    usable = sum(sizes) if cores is None else min(cores, sum(sizes))
    for size in range(usable // wanted, 1, -1):
        if sum(each // size for each in sizes) >= wanted:
            return {"num_cpus": size}, wanted
    return {"num_cpus": 1}, max(1, min(wanted, usable))


class _RankActor:
    """What an actor does: it starts its rank in a thread, and says what that has said."""

    def __init__(self) -> None:
        self._said: SimpleQueue[Message] = SimpleQueue()
        self._store: Store | None = None
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()

    def host(self) -> str:
        """Say where it is, and so that it is there."""
        return socket.gethostname()

    def open_meeting(self) -> tuple[str, int]:
        """Open what ranks meet at, on any port that is free, and return its address."""
        address = _own_address()
        store = _tcp_store(address, 0, is_master=True)
        self._store = store
        return address, store.port

    def begin(self, start: Start, meeting: tuple[str, int]) -> None:
        """Be a rank from here on."""
        if name := _interface_of(_own_address()):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
        threading.Thread(
            target=take_part, args=(start, lambda: self._meet(meeting), self._said.put), daemon=True
        ).start()

    def _meet(self, meeting: tuple[str, int]) -> Store:
        return self._store or _tcp_store(*meeting, is_master=False)

    def listen(self) -> list[Message]:
        """Return what the rank has said, once it has said something."""
        said = [self._said.get()]
        while not self._said.empty():
            said.append(self._said.get())
        return said


class _Actors:
    """Actors of which each is a rank, and listened to until it is done."""

    def __init__(self, actors: Sequence[Any]) -> None:
        self.count = len(actors)
        self._actors = actors
        self._listening = {actor.listen.remote(): index for index, actor in enumerate(actors)}

    def heard(self) -> Sequence[tuple[int, Message]]:
        """Wait for what one of them says next."""
        (answer, *_), _ = ray_library().wait(list(self._listening))
        index = self._listening.pop(answer)
        try:
            said = result_of(answer)
        except deaths() as error:
            raise _death(index, error) from error
        if not isinstance(said[-1], Done | Failed):
            self._listening[self._actors[index].listen.remote()] = index
        return [(index, message) for message in said]

    def check_others(self) -> None:
        """Ask all of them whether they are there: of a lost machine, Ray knows late."""
        asked = {actor.host.remote(): index for index, actor in enumerate(self._actors)}
        there, silent = ray_library().wait(
            list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS
        )
        for answer in there:
            try:
                result_of(answer)
            except deaths() as error:
                raise _death(asked[answer], error) from error
        for answer in silent:
            raise RankDiedError(f"rank {asked[answer]} no longer answers")


def _death(index: int, error: Exception) -> RankDiedError:
    return RankDiedError(f"rank {index} was lost ({_first_line(error)})")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(" .:")


def _in_words(share: Mapping[str, int]) -> str:
    return " and ".join(f"{amount} {NAMES[name]}" for name, amount in share.items())


def _tcp_store(host: str, port: int, *, is_master: bool) -> Any:
    open_store = torch.distributed.TCPStore  # type: ignore[attr-defined]
    return open_store(host, port, is_master=is_master, wait_for_workers=False)


def _own_address() -> str:
    address: str = ray_library().util.get_node_ip_address()
    return address


def _interface_of(address: str) -> str | None:
    """Return the network interface that other machines reach this one by, if it is known.

    Gloo would ask what the name of the host stands for, which often is the loopback.
    """
    import psutil

    for name, addresses in psutil.net_if_addrs().items():
        if any(each.address == address for each in addresses):
            return name
    return None


def _end_with(parent: int) -> None:
    """End once the process of Ray that has started this one is gone: nobody would hear of it."""
    while os.getppid() == parent:
        time.sleep(WATCH_EVERY_SECONDS)
    os._exit(1)
