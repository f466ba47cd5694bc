"""The place that a catalog entry names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from tiktok_virality.storage.access import StorageAccess
from tiktok_virality.storage.objects import SCHEME, ObjectPath

Place: TypeAlias = Path | ObjectPath
"""A file or folder, wherever it lies."""


def is_object_address(address: object) -> bool:
    """Tell whether this is an address of object storage."""
    return str(address).startswith(SCHEME)


def below(place: Place, folder: Place) -> PurePath:
    """Return the way from a folder to what is below it."""
    if isinstance(place, ObjectPath) and isinstance(folder, ObjectPath):
        return place.relative_to(folder)
    return PurePath(str(place)).relative_to(str(folder))


def listed(folder: Place, pattern: str) -> list[Place]:
    """Return what is in a folder under names of a pattern, sorted."""
    if isinstance(folder, ObjectPath):
        return [*sorted(folder.glob(pattern))]
    return [*sorted(folder.glob(pattern))]


def listed_below(folder: Place, pattern: str) -> list[Place]:
    """Return what is below a folder, however deep, under names of a pattern, sorted."""
    if isinstance(folder, ObjectPath):
        return [*sorted(folder.rglob(pattern))]
    return [*sorted(folder.rglob(pattern))]


def rename(place: Place, name: str) -> Place:
    """Give a file another name in its folder; return where it is then."""
    if isinstance(place, ObjectPath):
        return place.replace(place.with_name(name))
    return place.replace(place.with_name(name))


def place_at(address: str, credentials: Mapping[str, Any] | None = None) -> Place:
    """Return the place at an address: a path, or one in a bucket for ``s3://bucket/key``.

    Args:
        address: As the catalog has it.
        credentials: Those called ``storage``; a path needs none.

    Raises:
        ConfigurationError: The credentials are not of the right kind.
        StorageError: The address names no bucket.
    """
    if is_object_address(address):
        return ObjectPath.at(address, StorageAccess.of(credentials))
    return Path(address)
