"""What a per-video stage is to do: items, a transform, and how a result is told apart."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, Self, cast, runtime_checkable

from tiktok_virality.execution.shard import Shard
from tiktok_virality.schema import MediaError, digest


@dataclass(frozen=True, kw_only=True, slots=True)
class StageItem:
    """One video as a stage sees it.

    Attributes:
        video_id: Key of the manifest.
        digest: Changes whenever the content behind ``payload`` does.
        payload: What the transform reads: a small, picklable reference, never the data.
    """

    video_id: str
    digest: str
    payload: Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A result: ``columns`` maps names to arrays or scalars."""

    video_id: str
    columns: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Absent:
    """There is nothing to compute, and that is no fault: no audio track, or silence."""

    video_id: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """The video could not be processed; ``reason`` is a phrase that tables count by.

    A verdict on the clip is kept. What is no verdict, a fault of the machine or of the program, is
    tried again by the next run.
    """

    video_id: str
    reason: str
    detail: str
    is_verdict: bool = True


Outcome = Done | Absent | Failed


class Transform(Protocol):
    """Turns a batch of items into as many outcomes. Picklable; says what decides its result."""

    def identity(self) -> Mapping[str, Any]:
        """Return everything that decides the result, JSON-able: configuration, version, digests."""
        ...

    def setup(self) -> None:
        """Load what is costly, once in every worker, before the first batch."""
        ...

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Return one outcome per item, in any order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Cut:
    """Columns of a result that hang on settings of their own.

    Attributes:
        identity: Everything that decides them, JSON-able.
        columns: Their names; ``None`` is whatever there is.
    """

    identity: Mapping[str, Any]
    columns: tuple[str, ...] | None = None


WHOLE: Final = ""
"""The name of the one cut of a transform that has no other."""


@runtime_checkable
class Reading(Protocol):
    """A transform that takes several cuts from one reading of an item.

    Each cut is kept under a fingerprint of its own, so a changed setting makes anew what hangs on
    it, and an item is read once for all that it lacks.
    """

    def cuts(self) -> Mapping[str, Cut]:
        """Return what is taken, by name; each column belongs to one cut."""
        ...

    def only(self, names: Collection[str]) -> Self:
        """Return the same for some of the cuts."""
        ...


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one worker of a stage wants.

    Attributes:
        in_process: For transforms whose model uses all cores or the GPU: run in the driver itself,
            or in an actor that has as much of its machine.
        max_workers: Most worker processes to use; ``None`` takes one per core.
        limited: Whether an item must keep within the engine's limits, which are meant for clips:
            not where it is a whole training.
        beside: Run in the process beside the driver, where there is one: its libraries are those
            of `modalities.LOADED_BESIDE`, and driver and process work at the same time.
    """

    in_process: bool = False
    max_workers: int | None = None
    limited: bool = True
    beside: bool = False


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """A per-video stage that has not run yet; saving it to a stage store runs what is missing.

    Attributes:
        items: What to process.
        transform: How.
        absent: Ids known beforehand to have nothing to process, with the reason.
        batch_size: Items per call of ``transform`` and per part file.
        resources: What a worker wants.
    """

    items: Sequence[StageItem]
    transform: Transform
    absent: Mapping[str, str] = field(default_factory=dict)
    batch_size: int = 8
    resources: Resources = field(default_factory=Resources)

    @property
    def cuts(self) -> Mapping[str, Cut]:
        """What is kept apart, by name: most transforms have one cut, `WHOLE`."""
        if isinstance(self.transform, Reading):
            return self.transform.cuts()
        return {WHOLE: Cut(identity=self.transform.identity())}

    @property
    def fingerprints(self) -> dict[str, str]:
        """Digest of everything but the items that decides a cut, by its name."""
        return {name: _digest_of(self.transform, cut.identity) for name, cut in self.cuts.items()}

    def taking(self, cuts: Collection[str]) -> Transform:
        """Return the transform that takes these cuts and no others."""
        if isinstance(self.transform, Reading):
            return cast("Transform", self.transform.only(cuts))
        return self.transform

    def of_shard(self, shard: Shard) -> StagePlan:
        """Return the plan for the videos of a shard alone."""
        return replace(
            self,
            items=[item for item in self.items if item.video_id in shard],
            absent={key: why for key, why in self.absent.items() if key in shard},
        )

    def __repr__(self) -> str:
        name = type(self.transform).__name__
        return f"StagePlan({name}, {len(self.items)} items, {len(self.absent)} absent)"


def fingerprint_of(transform: Transform) -> str:
    """Return a digest of what decides the results of a transform."""
    return _digest_of(transform, transform.identity())


def _digest_of(transform: Transform, identity: Mapping[str, Any]) -> str:
    kind = type(transform)
    return digest({"transform": f"{kind.__module__}.{kind.__qualname__}", **identity})


def outcome_of(
    item: StageItem, process: Callable[[StageItem], Mapping[str, Any] | Outcome]
) -> Outcome:
    """Process one item, turning a `MediaError` into its row of the failure table."""
    try:
        result = process(item)
    except MediaError as error:
        return Failed(video_id=item.video_id, reason=error.reason, detail=error.detail)
    if isinstance(result, Done | Absent | Failed):
        return result
    return Done(video_id=item.video_id, columns=result)
