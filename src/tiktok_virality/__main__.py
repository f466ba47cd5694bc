"""`python -m tiktok_virality`: `kedro run` where only the package and a folder `conf` are."""

from __future__ import annotations

import sys
from typing import Any

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project

from tiktok_virality.startup import prefer_system_allocator

PACKAGE = "tiktok_virality"


def main(*arguments: Any, **options: Any) -> Any:
    """Run pipelines, with the options of `kedro run`.

    Args:
        arguments: Of the command, as click takes them; none: those of the command line.
        options: Of click. Where somebody types, as in a notebook, Python goes on afterwards.
    """
    prefer_system_allocator()  # Kedro's own command calls it, but that is not the one here
    configure_project(PACKAGE)
    options.setdefault("standalone_mode", not hasattr(sys, "ps1"))
    return find_run_command(PACKAGE)(*arguments, **options)


if __name__ == "__main__":
    main(prog_name=f"python -m {PACKAGE}")
