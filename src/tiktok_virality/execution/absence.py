"""Waiting for a disk or a folder on the network that has gone and may come back."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

logger = logging.getLogger(__name__)

WAITS_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Between attempts: a minute in all."""

GONE: Final = frozenset(
    {
        *(errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.ENXIO, errno.EHOSTDOWN),
        *(errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT),
    }
)
"""Error numbers of a file system that does not answer."""

Result = TypeVar("Result")


def patiently(attempt: Callable[[], Result]) -> Result:
    """Do something with files, and again while the place where they are is away."""
    for seconds in WAITS_SECONDS:
        try:
            return attempt()
        except OSError as error:
            if not is_away(error):
                raise
            logger.warning("%s; looking again in %.0f s", error, seconds)
            time.sleep(seconds)
    return attempt()


def is_away(error: Exception) -> bool:
    """Tell whether the place of a file is gone, and not just the file."""
    if not isinstance(error, OSError):
        return False
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        place = str(error.filename or "")
        return bool(place) and "://" not in place and not Path(place).parent.is_dir()
    return error.errno in GONE
