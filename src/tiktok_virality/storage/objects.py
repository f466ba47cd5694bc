"""An object of a bucket, or a folder of them, with the methods of a path."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, TextIO

from tiktok_virality.schema import StorageError
from tiktok_virality.storage.access import StorageAccess, open_bucket

if TYPE_CHECKING:
    from obstore.store import S3Store

SCHEME: Final = "s3://"
SINGLE_PUT_BYTES: Final = 64 * 2**20
"""What is larger goes in parts, which the server puts together at last: all or nothing, too."""

CODE: Final = re.compile(r"<Code>(\w+)</Code>")
PASSING: Final = frozenset({"InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout"})
"""What a server says that may know better in a moment."""

UNSUPPORTED: Final = frozenset({"NotImplemented", "XNotImplemented"})
BUILT_IN: Final = (FileNotFoundError, PermissionError, NotImplementedError)
"""Errors of Python's own that the client raises, without a number, beside those of its own."""


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """What a server says of an object; named as `os.stat_result` names it.

    Attributes:
        st_size: Bytes.
        st_mtime_ns: When it was put, by the clock of the server, in nanoseconds since 1970.
        e_tag: Tells one content from another.
    """

    st_size: int
    st_mtime_ns: int
    e_tag: str

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> ObjectStatus:
        """Take it from an answer."""
        return cls(
            st_size=int(said["size"]),
            st_mtime_ns=int(said["last_modified"].timestamp() * 1e9),
            e_tag=_tag(said["e_tag"]),
        )


@dataclass(frozen=True, slots=True)
class ObjectPath:
    """A place in a bucket.

    Folders are made by what is in them: there is nothing to make, and none is empty. A write is
    one request that takes effect as a whole, and is seen by all from then on.

    Attributes:
        access: How the bucket is reached; neither shown nor compared.
        bucket: Its name.
        key: Of the object, without a slash at either end.
        status: What a listing has said of it, if it is from one: what asks for it asks nobody.
        lists: Whether a listing has said that this is a folder.
    """

    access: StorageAccess = field(repr=False, compare=False)
    bucket: str
    key: str
    status: ObjectStatus | None = field(default=None, repr=False, compare=False)
    lists: bool = field(default=False, repr=False, compare=False)

    @classmethod
    def at(cls, address: str, access: StorageAccess) -> ObjectPath:
        """Return the place of an address such as ``s3://bucket/folder``.

        Raises:
            StorageError: It names no bucket.
        """
        bucket, _, key = address.removeprefix(SCHEME).partition("/")
        if not bucket:
            raise StorageError(
                f"{address} names no bucket: say `data: s3://bucket/folder` in globals.yml."
            )
        return cls(access, bucket, "/".join(part for part in key.split("/") if part))

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"

    def __lt__(self, other: ObjectPath) -> bool:
        return (self.bucket, self.key) < (other.bucket, other.key)

    def __truediv__(self, below: str | PurePosixPath) -> ObjectPath:
        parts = [part for part in (*self.key.split("/"), *str(below).split("/")) if part]
        return ObjectPath(self.access, self.bucket, "/".join(parts))

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return PurePosixPath(self.name).stem

    @property
    def suffix(self) -> str:
        """The end of the name, from its last dot on."""
        return PurePosixPath(self.name).suffix

    @property
    def parent(self) -> ObjectPath:
        """The folder in which it is."""
        return ObjectPath(self.access, self.bucket, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> ObjectPath:
        """Return the place of another name in the same folder."""
        return self.parent / name

    def with_suffix(self, suffix: str) -> ObjectPath:
        """Return the place of the same name with another suffix."""
        return self.with_name(str(PurePosixPath(self.name).with_suffix(suffix)))

    def relative_to(self, folder: ObjectPath) -> PurePosixPath:
        """Return the way to it from a folder above.

        Raises:
            ValueError: It is not below that folder.
        """
        return PurePosixPath(self.key).relative_to(PurePosixPath(folder.key))

    @property
    def fresh(self) -> ObjectPath:
        """The same place, without what a listing has said of it a while ago."""
        return ObjectPath(self.access, self.bucket, self.key)

    def absolute(self) -> ObjectPath:
        """Return itself."""
        return self

    def resolve(self) -> ObjectPath:
        """Return itself: there are no links."""
        return self

    def stat(self) -> ObjectStatus:
        """Ask the server of it.

        Raises:
            FileNotFoundError: There is no such object.
            StorageError: The bucket is missing, or refuses.
        """
        if self.status is not None:
            return self.status
        with self._saying("read"):
            return ObjectStatus.of(self._store.head(self.key))

    def is_file(self) -> bool:
        """Tell whether it is an object."""
        if self.lists or not self.key:
            return False
        try:
            self.stat()
        except FileNotFoundError:
            return False
        return True

    def is_dir(self) -> bool:
        """Tell whether there are objects below it."""
        if self.lists or self.status is not None:
            return self.lists
        with self._saying("list"):
            listed = self._store.list(self._prefix, chunk_size=1)
            return next((True for chunk in listed if chunk), False)

    def exists(self) -> bool:
        """Tell whether it is an object or a folder of some."""
        return self.is_file() or self.is_dir()

    def iterdir(self) -> Iterator[ObjectPath]:
        """Yield what is directly below it: one request for each thousand."""
        with self._saying("list"):
            listed = self._store.list_with_delimiter(self._prefix)
        for folder in listed["common_prefixes"]:
            yield ObjectPath(self.access, self.bucket, str(folder).rstrip("/"), lists=True)
        yield from map(self._listed, listed["objects"])

    def glob(self, pattern: str) -> Iterator[ObjectPath]:
        """Yield what is directly below it under a name of this pattern."""
        return (each for each in self.iterdir() if fnmatchcase(each.name, pattern))

    def rglob(self, pattern: str) -> Iterator[ObjectPath]:
        """Yield the objects below it, however deep, whose name is of this pattern."""
        with self._saying("list"):
            for chunk in self._store.list(self._prefix):
                for said in chunk:
                    found = self._listed(said)
                    if fnmatchcase(found.name, pattern):
                        yield found

    def read_bytes(self) -> bytes:
        """Return its content.

        Raises:
            FileNotFoundError: There is no such object.
            StorageError: The bucket is missing, or refuses.
        """
        with self._saying("read"):
            return self._store.get(self.key).bytes().to_bytes()

    def read_text(self, encoding: str = "utf-8") -> str:
        """Return its content as text."""
        return self.read_bytes().decode(encoding)

    def open(self, *, encoding: str = "utf-8", newline: str | None = None) -> TextIO:
        """Open its content as text."""
        return io.TextIOWrapper(io.BytesIO(self.read_bytes()), encoding=encoding, newline=newline)

    def write_bytes(self, content: Any) -> None:
        """Put content there, as a whole or not at all.

        Copies that this machine has of what was there go: it may have been forgotten.

        Args:
            content: Bytes, or what lends them.
        """
        self._forget_copies()
        with self._saying("write"):
            body = memoryview(content).cast("B")
            self._store.put(self.key, body, use_multipart=body.nbytes > SINGLE_PUT_BYTES)

    def put_file(self, file: Path) -> None:
        """Put the content of a file there, as a whole or not at all."""
        self._forget_copies()
        with self._saying("write"):
            self._store.put(self.key, file, use_multipart=file.stat().st_size > SINGLE_PUT_BYTES)

    def create(self, content: bytes) -> str:
        """Put content there if there is none, which the server decides; return its tag.

        Raises:
            FileExistsError: There is.
            NotImplementedError: The server cannot decide that.
        """
        with self._saying("write"):
            said = self._store.put(self.key, content, mode="create", use_multipart=False)
        return _tag(said["e_tag"])

    def exchange(self, content: bytes, e_tag: str) -> str:
        """Put content there if what is there has this tag; return the new one.

        Raises:
            FileExistsError: Something else is there, or nothing.
            NotImplementedError: The server cannot decide that.
        """
        with self._saying("write"):
            said = self._store.put(
                self.key, content, mode={"e_tag": f'"{e_tag}"'}, use_multipart=False
            )
        return _tag(said["e_tag"])

    def download(self, file: Path) -> ObjectStatus:
        """Write its content into a file of this machine; return what it was."""
        with self._saying("read"):
            found = self._store.get(self.key)
            with file.open("wb") as copy:
                for chunk in found.stream():
                    copy.write(chunk)
            return ObjectStatus.of(found.meta)

    def unlink(self, missing_ok: bool = True) -> None:
        """Remove it, with the copies that this machine has of it; a missing one is no matter."""
        self._forget_copies()
        with self._saying("remove"), contextlib.suppress(FileNotFoundError):
            self._store.delete(self.key)

    def replace(self, target: ObjectPath) -> ObjectPath:
        """Give it another name, in two steps: what is killed between them leaves both."""
        with self._saying("write"):
            self._store.copy(self.key, target.key)
        self.unlink()
        return target

    def mkdir(self, *unused: Any, **options: bool) -> None:
        """Do nothing: folders come with what is in them."""

    def _forget_copies(self) -> None:
        from tiktok_virality.storage.near import forget_copies

        forget_copies(self)

    @property
    def _store(self) -> S3Store:
        return open_bucket(self.access, self.bucket)

    @property
    def _prefix(self) -> str | None:
        return f"{self.key}/" if self.key else None

    def _listed(self, said: Mapping[str, Any]) -> ObjectPath:
        return ObjectPath(self.access, self.bucket, said["path"], ObjectStatus.of(said))

    @contextlib.contextmanager
    def _saying(self, doing: str) -> Iterator[None]:
        """Say what went wrong in our words: those of the server may repeat keys.

        Raises:
            FileNotFoundError: There is no such object.
            FileExistsError: There is one, and should not be, or another than was thought.
            NotImplementedError: The server does not know such a request.
            OSError: It does not answer.
            StorageError: The bucket is missing, or refuses.
        """
        open_bucket(self.access, self.bucket)  # says so where the package is missing
        from obstore import exceptions

        fault: Exception | None = None
        try:
            yield
        except (exceptions.BaseError, *BUILT_IN) as error:
            if getattr(error, "errno", None) is not None:
                raise  # of this machine
            fault = self._fault(doing, error)
        if fault is not None:  # raised here, so that no traceback shows the error of the client
            raise fault

    def _fault(self, doing: str, error: Exception) -> Exception:
        from obstore import exceptions

        found = CODE.search(str(error))
        code, where = found[1] if found else "", self.access.server
        if code == "NoSuchBucket":
            return StorageError(
                f"There is no bucket {self.bucket!r} at {where}. Make it, or mend `data` in "
                "globals.yml, or the endpoint in conf/local/credentials.yml."
            )
        if isinstance(error, FileNotFoundError | exceptions.NotFoundError):
            return FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self))
        if isinstance(error, exceptions.AlreadyExistsError | exceptions.PreconditionError):
            return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self))
        if code in UNSUPPORTED or isinstance(
            error, NotImplementedError | exceptions.NotSupportedError
        ):
            return NotImplementedError(f"{where} does not know how to {doing} {self} so")
        is_refused = isinstance(
            error,
            PermissionError | exceptions.PermissionDeniedError | exceptions.UnauthenticatedError,
        )
        if is_refused or (code and code not in PASSING):
            return StorageError(
                f"{where} refuses to {doing} {self} ({code or 'no permission'}). Check key, secret "
                "and region of `storage` in conf/local/credentials.yml, and what the key may do."
            )
        why = f"{where} does not answer" + (f" ({code})" if code else "")
        return OSError(errno.EHOSTUNREACH, why, str(self))


def _tag(said: str | None) -> str:
    """Return a tag as it is kept: without its quotes, and fit for the name of a folder."""
    return (said or "untagged").strip('"').replace("/", "_")
