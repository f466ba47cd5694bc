"""Clips as requests name them: a path, an address, or the file itself in base64."""

from __future__ import annotations

import base64
import binascii
import os
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from tiktok_virality.datasets.video_folder import VIDEO_SUFFIXES
from tiktok_virality.schema import DataError

FOLDER_VARIABLE: Final = "TIKTOK_VIRALITY_CLIPS"
"""In the environment: the folder below which a service reads files; without it, it reads none."""

MOST_BYTES: Final = 200 * 2**20
SECONDS: Final = 20.0
"""Without a byte from an address, until it counts as silent."""

PIECE: Final = 2**18
DATA_PREFIX: Final = "data:"
DEFAULT_SUFFIX: Final = ".mp4"


def fetch_clip(source: str, target: Path) -> Path:
    """Bring a clip to a folder, or find it.

    Args:
        source: The path of a file below the folder that `FOLDER_VARIABLE` names; an address that
            begins with http:// or https://; or the content of a file in base64, with or without
            ``data:...;base64,`` before it.
        target: Where a file goes that is not here yet, without its ending.

    Raises:
        DataError: It is none of these, is not reached, may not be read, or is too large. An address
            in a private network is refused, as is one that leads on to another.
    """
    if source.startswith(("http://", "https://")):
        return _download(urlsplit(source), target)
    if source.startswith(DATA_PREFIX) or _looks_like_base64(source):
        return _decoded(source, target)
    return _local(source)


def _local(source: str) -> Path:
    folder = os.environ.get(FOLDER_VARIABLE)
    if not folder:
        raise DataError(
            f"This service reads no files of its machine: {_short(source)}. Send the clip in "
            f"base64, or start the service with {FOLDER_VARIABLE}, the folder whose clips it reads."
        )
    root = Path(folder).resolve()
    path = (root / source).resolve()
    if not path.is_relative_to(root):
        raise DataError(f"{_short(source)} is not below the folder that this service reads.")
    if path.suffix.lower() not in VIDEO_SUFFIXES:
        raise DataError(f"{_short(source)} must end in {', '.join(VIDEO_SUFFIXES)}.")
    if not path.is_file():
        raise DataError(f"There is no file {_short(source)}.")
    return path


def _looks_like_base64(source: str) -> bool:
    """Tell content from a path: long, and no ending of a video."""
    return len(source) > 1_000 and not source.lower().endswith(VIDEO_SUFFIXES)


def _decoded(source: str, target: Path) -> Path:
    encoded = source.partition(",")[2] if source.startswith(DATA_PREFIX) else source
    if len(encoded) > MOST_BYTES * 4 // 3 + 4:
        raise DataError(f"The clip is larger than {MOST_BYTES // 2**20} MB.")
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"The clip is no base64: {error}.") from error
    path = target.with_suffix(DEFAULT_SUFFIX)
    path.write_bytes(content)
    return path


def _download(address: SplitResult, target: Path) -> Path:
    suffix = Path(unquote(address.path)).suffix.lower()
    path = target.with_suffix(suffix if suffix in VIDEO_SUFFIXES else DEFAULT_SUFFIX)
    size = 0
    with path.open("wb") as file:
        for piece in _pieces(address):
            size += len(piece)
            if size > MOST_BYTES:
                raise DataError(f"The clip is larger than {MOST_BYTES // 2**20} MB.")
            file.write(piece)
    return path


def _pieces(address: SplitResult) -> Iterator[bytes]:
    """Yield what lies at an address, asked of the very machine that was looked at before.

    A name could lead elsewhere the second time somebody looks it up; here it is looked up once.
    """
    import urllib3

    host = address.hostname or ""
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
    except ValueError as error:
        raise DataError(f"{_short(address.geturl())} is no address: {error}.") from error
    place = _public_address(host, port)
    timeout = urllib3.Timeout(connect=SECONDS, read=SECONDS)
    pool: urllib3.HTTPConnectionPool
    if address.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            place, port, timeout=timeout, server_hostname=host, assert_hostname=host
        )
    else:
        pool = urllib3.HTTPConnectionPool(place, port, timeout=timeout)
    asked = address.path or "/"
    asked += f"?{address.query}" if address.query else ""
    headers = {"Host": host if address.port is None else f"{host}:{port}"}
    try:
        with (
            pool,
            pool.request(
                "GET", asked, headers=headers, redirect=False, retries=False, preload_content=False
            ) as response,
        ):
            if response.status != 200:
                raise DataError(
                    f"{_short(address.geturl())} answers {response.status}, and not with a file."
                )
            yield from response.stream(PIECE)
    except urllib3.exceptions.HTTPError as error:
        raise DataError(f"{_short(address.geturl())} is not reached: {error}.") from error


def _public_address(host: str, port: int) -> str:
    """Return a machine's address in the public network.

    Raises:
        DataError: The name is unknown, or leads into a private network.
    """
    found = look_up(host, port)
    private = [each for each in found if not ip_address(each).is_global]
    if private or not found:
        raise DataError(f"{_short(host)} is not in the public network, and is not asked.")
    return found[0]


def look_up(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a machine.

    Raises:
        DataError: Nobody knows it.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DataError(f"Nobody knows {_short(host)}: {error}.") from error
    return [str(place[0]).partition("%")[0] for *_, place in found]


def _short(text: str) -> str:
    return repr(text if len(text) <= 100 else f"{text[:100]}...")
