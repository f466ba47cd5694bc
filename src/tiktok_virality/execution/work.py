"""What one worker does with one batch: transform, isolate failures, write the outcomes."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tiktok_virality.execution.absence import WAITS_SECONDS, is_away, patiently
from tiktok_virality.execution.plan import Absent, Done, Failed, Outcome, StageItem, Transform
from tiktok_virality.schema import MediaError, ProjectError, StageError

logger = logging.getLogger(__name__)

FULL: Final = (errno.ENOSPC, errno.EDQUOT)

WritePart = Callable[[Sequence[StageItem], Sequence[Outcome]], None]
"""Stores the outcomes of a batch durably, or raises; called in the worker."""


@dataclass(frozen=True, kw_only=True)
class BatchReport:
    """How a batch ended: counts only, so that nothing heavy travels back to the driver."""

    done: int = 0
    absent: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """Items of the batch."""
        return self.done + self.absent + self.failed

    def __add__(self, other: BatchReport) -> BatchReport:
        return BatchReport(
            done=self.done + other.done,
            absent=self.absent + other.absent,
            failed=self.failed + other.failed,
        )


def _remember_nothing(items: Sequence[StageItem]) -> BatchReport | None:
    return None


@dataclass
class StageWork:
    """A transform and the writer of its results, as a worker holds them.

    Attributes:
        transform: What to do with a batch.
        write: Where the outcomes go.
        is_ready: Whether the transform is set up.
        recall: How a batch ended that was written while nobody could be told, because its worker
            died between the two; ``None`` where it was not written.
    """

    transform: Transform
    write: WritePart
    is_ready: bool = False
    recall: Callable[[Sequence[StageItem]], BatchReport | None] = _remember_nothing

    def __call__(self, items: Sequence[StageItem]) -> BatchReport:
        """Process a batch and write its part.

        Raises:
            ProjectError: What is wrong concerns every item, such as missing weights.
            ImportError: A package is missing.
            StageError: The results cannot be written, or what is read has been gone for too long.
        """
        if not self.is_ready:
            self.transform.setup()
            self.is_ready = True
        return self.record(items, _in_order(items, self._outcomes(items)))

    def record(self, items: Sequence[StageItem], outcomes: Sequence[Outcome]) -> BatchReport:
        """Write outcomes that are known already.

        Raises:
            StageError: That is not possible.
        """
        try:
            patiently(lambda: self.write(items, outcomes))
        except OSError as error:
            raise StageError(_why_unwritten(error)) from error
        return BatchReport(
            done=sum(isinstance(outcome, Done) for outcome in outcomes),
            absent=sum(isinstance(outcome, Absent) for outcome in outcomes),
            failed=sum(isinstance(outcome, Failed) for outcome in outcomes),
        )

    def _outcomes(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Transform a batch; when it breaks, take its items one by one to find the culprit."""
        try:
            return patiently(lambda: self.transform(items))
        except Exception as error:
            if is_away(error):
                raise StageError(_why_unread(error)) from error
            if _concerns_every_item(error):
                raise
            if len(items) > 1:
                return [outcome for item in items for outcome in self._outcomes([item])]
            logger.warning("%s failed: %s", items[0].video_id, error, exc_info=True)
            return [_failure(items[0], error)]


def _why_unwritten(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in FULL:
        why = f"The disk is full{where}. Finished parts are kept: free some space"
    else:
        cause = error.strerror or str(error)
        why = f"The results cannot be written: {cause}{where}. Finished parts are kept: mend that"
    return f"{why} and run the same command again."


def _why_unread(error: Exception) -> str:
    return (
        f"What is to be read has been gone for {sum(WAITS_SECONDS):.0f} seconds: {error}. Finished "
        "parts are kept: bring it back, a disk or a folder on the network perhaps, and run the "
        "same command again."
    )


def _concerns_every_item(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in FULL
    if isinstance(error, ImportError):
        return True
    return isinstance(error, ProjectError) and not isinstance(error, MediaError)


def _failure(item: StageItem, error: Exception) -> Failed:
    if isinstance(error, MediaError):
        return Failed(video_id=item.video_id, reason=error.reason, detail=error.detail)
    return Failed(
        video_id=item.video_id,
        reason=type(error).__name__,
        detail=str(error) or "no message",
        is_verdict=False,
    )


def _in_order(items: Sequence[StageItem], outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes in the order of the items, exactly one each.

    Raises:
        StageError: The transform left an item out, or returned one that was not asked for.
    """
    by_id = {outcome.video_id: outcome for outcome in outcomes}
    wanted = [item.video_id for item in items]
    if len(outcomes) != len(wanted) or set(by_id) != set(wanted):
        raise StageError(
            f"The transform was given {wanted} and answered for {sorted(by_id)}: it must return "
            "exactly one outcome per item."
        )
    return [by_id[video_id] for video_id in wanted]
