"""Making the challenger the champion."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tiktok_virality.serving import registry
from tiktok_virality.serving.project import open_config


def promote_challenger(project: Path, env: str | None, *, force: bool) -> tuple[bool, str]:
    """Promote the challenger if a paired test says that it is better.

    Args:
        project: Its folder.
        env: Whose scorer; ``None`` for the usual one.
        force: Promote it without a test.

    Returns:
        Whether it was promoted, and what is to be said.

    Raises:
        ProjectError: There is no challenger, or nothing can be said of the two.
    """
    import mlflow

    settings = open_config(project, env)["mlflow"]
    name = registry.registered_name(settings["tracking"]["experiment"]["name"], env)
    with contextlib.chdir(project):
        server = settings["server"]
        mlflow.set_tracking_uri(server["mlflow_tracking_uri"])
        if server.get("mlflow_registry_uri"):
            mlflow.set_registry_uri(server["mlflow_registry_uri"])
        said = ""
        if not force:
            duel = registry.duel(name)
            said = f"{duel.sentence} "
            if not duel.challenger_is_better:
                return False, f"{said}That is no better: the champion stays."
        number = registry.promote(name)
        return True, f"{said}Version {number} of {name} is the champion now."
