"""What is to be logged: now, or later when the server answers again; the run goes on either way."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS: Final = 15.0
LONGEST_PAUSE_SECONDS: Final = 600.0
ANSWER_SECONDS: Final = 3.0
PASSING: Final = ("TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED")
"""Codes of MLflow's errors that another attempt may not meet."""

NAMED: Final = 12


class Outbox:
    """Logs things in their order, and keeps them while the tracking server does not answer.

    A server that is away costs the first of them its timeout, and later ones a short question now
    and then. What is wrong with a single thing is said, and nothing else waits for it.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, Callable[[], Any]]] = deque()
        self._silent_until = 0.0
        self._pause = 0.0
        self._lock = RLock()
        self._is_sending = False
        self._open: Callable[[], None] = _nothing
        self.run: Run | None = None

    def begin(self, run: Run | None, reopen: Callable[[], None]) -> None:
        """Start empty.

        Args:
            run: That everything is logged in.
            reopen: Makes it the active one of a thread, where it is not.
        """
        self.__init__()  # type: ignore[misc]
        self.run, self._open = run, reopen

    def log(self, what: str, call: Callable[[], Any]) -> None:
        """Log something by a call that may be repeated, now or later.

        Args:
            what: For people.
            call: Does it, and holds all that it needs.
        """
        with self._lock:
            if self._is_sending:  # a part of what is being logged
                call()
                return
            self._waiting.append((what, call))
            if time.monotonic() >= self._silent_until:
                self.send()

    def send(self) -> None:
        """Log what waits, unless the server is still away."""
        with self._lock:
            if self._pause and not answers():
                self._wait("it is still away")
                return
            while self._waiting:
                what, call = self._waiting[0]
                if not self._sent(what, call):
                    return
                self._waiting.popleft()
            if self._pause:
                logger.info("MLflow answers again: what had waited is logged")
                self._pause = self._silent_until = 0.0

    def end(self) -> None:
        """Try once more, and say what could not be logged."""
        with self._lock:
            self.send()
            waiting, run = list(self._waiting), self.run
            self.begin(None, _nothing)
            if not waiting or run is None:
                return
            names = list(dict.fromkeys(what for what, _ in waiting))
            more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
            logger.warning(
                "MLflow at %s does not answer, and this run has ended: not logged are %s%s. "
                "Everything is in the data folder all the same: once it answers, run the same "
                "command again, which computes nothing twice and logs all of it.",
                _address(),
                ", ".join(names[:NAMED]),
                more,
            )

    def _sent(self, what: str, call: Callable[[], Any]) -> bool:
        from mlflow.exceptions import MlflowException

        self._is_sending = True
        try:
            self._open()
            call()
        except (MlflowException, OSError) as error:
            if is_outage(error):
                self._wait(str(error).splitlines()[0][:200])
                return False
            logger.warning("%s is not logged in MLflow: %s", what, error)
        finally:
            self._is_sending = False
        return True

    def _wait(self, why: str) -> None:
        if not self._pause:
            logger.warning(
                "MLflow at %s does not answer (%s). The run goes on; what there is to log is kept "
                "and sent when it answers again.",
                _address(),
                why,
            )
        self._pause = min(2 * self._pause or FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._silent_until = time.monotonic() + self._pause


def is_outage(error: Exception) -> bool:
    """Tell whether it is the server that is away, and not the thing that cannot be logged."""
    return getattr(error, "error_code", None) in PASSING or not answers()


def answers(uri: str | None = None) -> bool:
    """Ask a server whether it is there, whatever it answers; other stores always are.

    Args:
        uri: Of the store; ``None`` is the one that is set.
    """
    import requests

    address = uri or _address()
    if not address.startswith("http"):
        return True
    try:
        requests.get(f"{address.rstrip('/')}/health", timeout=ANSWER_SECONDS)
    except requests.RequestException:
        return False
    return True


def _address() -> str:
    import mlflow

    return str(mlflow.get_tracking_uri())


def _nothing() -> None:
    """Open nothing: there is no run."""


OUTBOX: Final = Outbox()
"""Of this process, as MLflow has one active run of a process."""
