"""What of a pipeline one shard of the corpus can do by itself, and what must wait for all."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kedro.pipeline import Node, Pipeline

LEARNS: Final = "training"
"""Tag of nodes that learn from all clips, among them some that make a stage."""


@dataclass(frozen=True, kw_only=True)
class ShardPart:
    """A pipeline as a shard runs it.

    Attributes:
        pipeline: The stages that it can do, and the tables that these are planned from, which are
            made in memory: a shard writes parts of stages and nothing else.
        stages: The datasets that it makes.
        whole: What needs the whole corpus, in the order of a run: namespaces of which no node is
            run, and of others the nodes that are not.
        waiting: Stages that can be done in shards once a run without one has made something, by
            what that is.
    """

    pipeline: Pipeline
    stages: tuple[str, ...]
    whole: tuple[str, ...]
    waiting: Mapping[str, tuple[str, ...]]

    def describe(self) -> str:
        """Say what is done, and what is left to whom."""
        done = f"makes its part of {', '.join(self.stages)}" if self.stages else "has nothing to do"
        told = [f"It {done}."]
        if self.whole:
            told.append(
                "It ends before what needs the whole corpus, which is left to a run without "
                f"`shard`: {', '.join(self.whole)}."
            )
        for needed, stages in self.waiting.items():
            told.append(
                f"For {', '.join(stages)}, run the shards again after `kedro run --to-outputs "
                f"{needed}`."
            )
        return " ".join(told)


def part_for_shards(
    pipeline: Pipeline, is_stage: Callable[[str], bool], exists: Callable[[str], bool]
) -> ShardPart:
    """Find what a shard can do.

    A stage works on one video after the other, so it can be done for a part of them. What else
    reads a stage needs all its rows; what it makes is read from the disk where a run without
    shards has made it. What reads no stage is the same for every shard.

    Args:
        pipeline: What a run without shards would do; what it does not make itself is there.
        is_stage: Whether a dataset holds rows by video.
        exists: Whether a dataset is on the disk.
    """
    kept: list[Node] = []
    stages: list[Node] = []
    whole: list[Node] = []
    needs: dict[str, tuple[str, ...]] = {}  # of what is missing: what must be made before
    for node in pipeline.nodes:
        makes_stage = all(map(is_stage, node.outputs)) and LEARNS not in node.tags
        reads_stage = any(map(is_stage, node.inputs))
        needed = _together(needs[name] for name in node.inputs if name in needs)
        if makes_stage and needed:
            needs |= dict.fromkeys(node.outputs, needed)
        elif makes_stage:
            stages.append(node)
        elif needed or reads_stage or LEARNS in node.tags:
            whole.append(node)
            needs |= {name: (name,) for name in node.outputs if not exists(name)}
        else:
            kept.append(node)
    made = Pipeline([*kept, *stages]).to_nodes(*(node.name for node in stages))
    return ShardPart(
        pipeline=made,
        stages=tuple(name for node in stages for name in node.outputs),
        whole=tuple(_named(whole, {_room(node) for node in (*kept, *stages)})),
        waiting=_by_need({name: why for name, why in needs.items() if why != (name,)}),
    )


def _named(whole: Iterable[Node], partly: Container[str]) -> Iterator[str]:
    """Yield the namespaces of nodes, and in brackets the nodes where others of it are done."""
    rooms: dict[str, list[str]] = {}
    for node in whole:
        rooms.setdefault(_room(node), []).append(node.short_name)
    for room, names in rooms.items():
        yield f"{room} ({', '.join(names)})" if room in partly else room


def _room(node: Node) -> str:
    return (node.namespace or node.short_name).partition(".")[0]


def _together(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for each in names for name in each))


def _by_need(needed: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the stages that wait for the same, by what they wait for, joined by commas."""
    found: dict[str, tuple[str, ...]] = {}
    for stage, names in needed.items():
        found[",".join(names)] = (*found.get(",".join(names), ()), stage)
    return found
