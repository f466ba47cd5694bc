"""How far a training has come: a bar on a terminal, a log line now and then elsewhere."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import lightning
from lightning.pytorch.callbacks import Callback

if TYPE_CHECKING:
    from rich.progress import Progress

logger = logging.getLogger(__name__)

LOG_EVERY_SECONDS = 30.0
SECONDS_PER_MINUTE = 60


class TrainingProgress(Callback):
    """Shows the steps of a training out of its budget, and the time that the rest would take.

    The time is that of the whole budget; early stopping may end the training before.
    """

    def __init__(self, name: str, steps: int) -> None:
        self.name = name
        self.steps = steps
        self._bar: Progress | None = None
        self._first = 0
        self._began = self._logged = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Begin to count, at the step to which an earlier run has come."""
        self._first = trainer.global_step
        self._began = self._logged = time.monotonic()
        self._bar = _bar_on_terminal()
        if self._bar is not None:
            self._bar.add_task(self.name, total=self.steps, completed=self._first)
            self._bar.start()

    def on_train_batch_end(self, trainer: lightning.Trainer, *unused: Any) -> None:
        """Move the bar, or log a line if the last one is long ago."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], completed=trainer.global_step)
        elif (
            trainer.global_step < self.steps
            and time.monotonic() - self._logged >= LOG_EVERY_SECONDS
        ):
            self._logged = time.monotonic()
            logger.info(
                "%s: step %d of %d, at most %s left",
                self.name,
                trainer.global_step,
                self.steps,
                in_words(self._seconds_left(trainer.global_step)),
            )

    def teardown(self, trainer: lightning.Trainer, pl_module: Any, stage: str) -> None:
        """Take the bar away, however training ended."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _seconds_left(self, step: int) -> float:
        """Return how long the rest takes at the pace of this run, validation included."""
        done = max(1, step - self._first)
        return (time.monotonic() - self._began) / done * (self.steps - step)


def in_words(seconds: float) -> str:
    """Return a length of time as people say it: ``40 s``, ``12 min``, ``2 h 05 min``."""
    minutes = round(seconds / SECONDS_PER_MINUTE)
    if seconds < SECONDS_PER_MINUTE:
        return f"{seconds:.0f} s"
    if minutes < SECONDS_PER_MINUTE:
        return f"{minutes} min"
    return f"{minutes // SECONDS_PER_MINUTE} h {minutes % SECONDS_PER_MINUTE:02} min"


def _bar_on_terminal() -> Progress | None:
    from rich import progress as bars
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        return None
    return bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("steps, at most"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("left"),
        console=console,
        transient=True,
    )
