"""What must be settled before any library is imported: Kedro calls it first of its plugins."""

from __future__ import annotations

import os


def prefer_system_allocator() -> None:
    """Make Arrow take memory from the system's allocator, unless the environment says otherwise.

    Arrow's own allocator keeps what thousands of small part files leave behind: tens of megabytes
    after 10,000 clips. Arrow reads the choice once, when it is first imported: later is too late.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
