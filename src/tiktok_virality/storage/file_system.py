"""Buckets for datasets of Kedro's that open files by fsspec: the same client, in the same words."""

from __future__ import annotations

import io
from typing import Any, ClassVar

import fsspec
from fsspec.spec import AbstractFileSystem

from tiktok_virality.storage.access import StorageAccess
from tiktok_virality.storage.objects import SCHEME, ObjectPath


class ObjectFileSystem(AbstractFileSystem):
    """What fsspec opens ``s3://`` with.

    Args:
        credentials: As `StorageAccess` has them.
    """

    protocol: ClassVar[str] = "s3"
    cachable: ClassVar[bool] = True

    def __init__(self, **credentials: Any) -> None:
        super().__init__()
        self._access = StorageAccess.of(credentials)

    def place(self, path: str) -> ObjectPath:
        """Return the place of a path such as ``bucket/key``."""
        return ObjectPath.at(SCHEME + str(self._strip_protocol(path)), self._access)

    def info(self, path: str, **unused: Any) -> dict[str, Any]:
        """Return name, size and kind of an object or a folder.

        Raises:
            FileNotFoundError: There is neither.
        """
        place = self.place(path)
        try:
            status = place.stat()
        except FileNotFoundError:
            if not place.is_dir():
                raise
            return {"name": self._strip_protocol(path), "size": 0, "type": "directory"}
        name = str(place).removeprefix(SCHEME)
        return {"name": name, "size": status.st_size, "type": "file", "ETag": status.e_tag}

    def ls(self, path: str, detail: bool = True, **unused: Any) -> list[Any]:
        """Return what is directly below a path."""
        found = [
            {
                "name": str(each).removeprefix(SCHEME),
                "size": 0 if each.lists else each.stat().st_size,
                "type": "directory" if each.lists else "file",
            }
            for each in self.place(path).iterdir()
        ]
        return found if detail else [each["name"] for each in found]

    def _open(self, path: str, mode: str = "rb", **unused: Any) -> io.BytesIO:
        if mode == "rb":
            return io.BytesIO(self.place(path).read_bytes())
        if mode in ("wb", "xb"):
            return _Unsent(self.place(path))
        raise NotImplementedError(f"An object cannot be opened as {mode!r}: it is put as a whole.")

    def rm_file(self, path: str) -> None:
        """Remove an object."""
        self.place(path).unlink()

    def cp_file(self, path1: str, path2: str, **unused: Any) -> None:
        """Copy an object."""
        self.place(path2).write_bytes(self.place(path1).read_bytes())

    def mkdir(self, path: str, create_parents: bool = True, **unused: Any) -> None:
        """Do nothing: folders come with what is in them."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: folders come with what is in them."""


class _Unsent(io.BytesIO):
    """What is written here is put there when it is closed, as a whole."""

    def __init__(self, place: ObjectPath) -> None:
        super().__init__()
        self._place = place

    def close(self) -> None:
        if not self.closed:
            try:
                self._place.write_bytes(self.getvalue())
            finally:
                super().close()


def serve_fsspec() -> None:
    """Have fsspec open ``s3://`` in this way, in this process."""
    fsspec.register_implementation("s3", ObjectFileSystem, clobber=True)
