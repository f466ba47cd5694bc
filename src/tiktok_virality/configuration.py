"""Reading the folder `conf`: what is wrong with it is said before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kedro.config import AbstractConfigLoader, MissingConfigException, OmegaConfigLoader

from tiktok_virality.schema import ConfigurationError
from tiktok_virality.storage import Place, is_object_address, place_at
from tiktok_virality.storage.file_system import serve_fsspec

STORAGE: Final = "storage"
"""The credentials of object storage."""

LOADER_OPTIONS: Final[dict[str, Any]] = {
    "base_env": "base",
    "default_run_env": "local",
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**", "**/mlflow*"]},
    # An environment says only what differs. Entries of the catalog are replaced as a whole: a
    # dataset of another type has other options.
    "merge_strategy": dict.fromkeys(("parameters", "globals", "credentials", "mlflow"), "soft"),
}
"""How Kedro's sessions and this project's commands read it."""


class ProjectConfigLoader(OmegaConfigLoader):
    """Kedro's loader, which knows the environments that there are.

    Without an environment it takes the default one, or base alone where its folder is missing.

    Args:
        conf_source: The folder ``conf``; archives and addresses are left to Kedro to judge.
        env: The environment.
        default_run_env: The environment where none is named.
        options: Of Kedro's loader.

    Raises:
        ConfigurationError: There is no such folder, or no such environment in it.
    """

    def __init__(
        self,
        conf_source: str | Path,
        env: str | None = None,
        *args: Any,
        default_run_env: str | None = None,
        **options: Any,
    ) -> None:
        if not _is_elsewhere(str(conf_source)):
            conf_source = Path(conf_source).resolve()  # the working directory may change
            _check_environment(conf_source, env)
            if not (conf_source / (default_run_env or "")).is_dir():
                default_run_env = options.get("base_env")
        super().__init__(conf_source, env, *args, default_run_env=default_run_env, **options)

    def __getitem__(self, key: str) -> Any:
        """Return settings of a kind.

        Where the data lie in a bucket, entries of the catalog are given the credentials for it, and
        these say where this machine keeps copies.
        """
        places = self._places() if key in ("catalog", "credentials") else {}
        data = str(places.get("data"))
        if not is_object_address(data):
            return super().__getitem__(key)
        if key == "catalog":
            serve_fsspec()
            return _with_credentials(super().__getitem__(key), data)
        try:
            credentials = super().__getitem__(key)
        except MissingConfigException:
            credentials = {}
        cache = {name: value for name, value in (places.get("cache") or {}).items() if value}
        return {**credentials, STORAGE: {**(credentials.get(STORAGE) or {}), **cache}}

    def _places(self) -> dict[str, Any]:
        try:
            return dict(super().__getitem__("globals"))
        except MissingConfigException:
            return {}


def _with_credentials(catalog: dict[str, Any], data: str) -> dict[str, Any]:
    """Give each entry of the catalog whose place is below an address the credentials for it."""
    return {
        name: {"credentials": STORAGE, **entry}
        if isinstance(entry, dict)
        and any(str(entry.get(key, "")).startswith(data) for key in ("filepath", "path"))
        else entry
        for name, entry in catalog.items()
    }


def of_a_disk(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the catalog for a place on a disk, which needs no credentials."""
    return {key: value for key, value in entry.items() if key != "credentials"}


def environments(conf: Path) -> list[str]:
    """Return the names of the environments of a folder ``conf``."""
    return sorted(each.name for each in conf.iterdir() if each.is_dir() and each.name[0] != ".")


def data_folder(config: AbstractConfigLoader, project: Path) -> Place:
    """Return where all data of an environment lie.

    Args:
        config: Of the environment.
        project: Its folder, from which a relative path is meant.
    """
    address = str(config["globals"]["data"])
    if is_object_address(address):
        return place_at(address, config["credentials"][STORAGE])
    return project / address


def _is_elsewhere(conf_source: str) -> bool:
    return "://" in conf_source or Path(conf_source).is_file()


def _check_environment(conf: Path, env: str | None) -> None:
    if not conf.is_dir():
        raise ConfigurationError(
            f"There is no folder {conf} with the settings. Run this in the project's folder, or "
            "name the folder with --conf-source."
        )
    if env and not (conf / env).is_dir():
        raise ConfigurationError(
            f"There is no environment {env!r}; there are {', '.join(environments(conf))}. Name one "
            f"of them with --env (or KEDRO_ENV), or make the folder {conf / env}."
        )
