"""The project's catalog, opened without running anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from kedro.config import AbstractConfigLoader, MissingConfigException
from kedro.framework.project import pipelines
from kedro.framework.startup import bootstrap_project
from kedro.io import AbstractDataset, CachedDataset, DataCatalog, MemoryDataset
from kedro.utils import find_kedro_project

from tiktok_virality.configuration import LOADER_OPTIONS, ProjectConfigLoader
from tiktok_virality.schema import ProjectError

CONF: Final = "conf"


def project_folder(start: Path) -> Path:
    """Return the project that a folder belongs to.

    Raises:
        ProjectError: There is none.
    """
    found = find_kedro_project(start)
    if found is None:
        raise ProjectError(f"{start} is in no Kedro project. Run this in the project's folder.")
    return Path(found)


def open_config(project: Path, env: str | None) -> AbstractConfigLoader:
    """Return the configuration of an environment.

    Args:
        project: Its folder.
        env: Such as ``demo``; ``None`` is the usual one.

    Raises:
        ConfigurationError: There is no such environment.
    """
    return ProjectConfigLoader(project / CONF, env, **LOADER_OPTIONS)  # no hook, so no MLflow


def open_catalog(project: Path, env: str | None) -> DataCatalog:
    """Return the catalog of an environment, without hooks: nothing is logged anywhere.

    Args:
        project: Its folder; relative paths of the catalog are meant from there.
        env: Such as ``demo``; ``None`` is the usual one.

    Raises:
        ConfigurationError: There is no such environment.
    """
    bootstrap_project(project)
    config = open_config(project, env)
    return DataCatalog.from_config(config["catalog"], credentials_of(config))


def credentials_of(config: AbstractConfigLoader) -> dict[str, Any]:
    """Return the credentials of a configuration, if it has any."""
    try:
        return dict(config["credentials"])
    except MissingConfigException:
        return {}


def stored_datasets(catalog: DataCatalog) -> dict[str, AbstractDataset[Any, Any]]:
    """Return every dataset that is stored, those of patterns by the names that pipelines use.

    Of several names of the same place, the first.
    """
    names = {name for pipeline in pipelines.values() for name in pipeline.datasets()}
    names |= set(catalog.keys())
    found: dict[str, AbstractDataset[Any, Any]] = {}
    places = set()
    for name in sorted(name for name in names if not is_parameter(name)):
        dataset = catalog.get(name)
        if dataset is None or isinstance(dataset, MemoryDataset | CachedDataset):
            continue
        place = f"{type(dataset).__name__}{dataset._describe()}"
        if place not in places:
            places.add(place)
            found[name] = dataset
    return found


def is_parameter(name: str) -> bool:
    """Tell a parameter from a dataset."""
    return name == "parameters" or name.startswith("params:")
