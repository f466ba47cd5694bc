"""What notices that somebody reads what is none of his business, or asks the network.

The kernel reports every opening of a file in the watched folder (inotify), whichever library or
program does it, and a socket that listens sees every connection that is tried.
"""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OPENED, READ, WRITTEN = 0x20, 0x01, 0x02
CHANGED = 0x100 | 0x200 | 0xC0  # made, removed, moved
EVENT = struct.Struct("iIII")


@dataclass(frozen=True)
class Trap:
    """A folder of secrets beside the data, and ports on which nobody may call.

    Attributes:
        folder: Holds ``canary.mp4``, an honest clip that nobody was given, and ``canary.txt``.
        port: Of the loopback interface, for TCP and UDP.
    """

    folder: Path
    port: int
    _watch: int
    _tcp: socket.socket
    _udp: socket.socket

    @property
    def clip(self) -> Path:
        return self.folder / "canary.mp4"

    def sprung(self) -> list[str]:
        """Return what was opened and who called, since the last time."""
        return [*_events(self._watch), *_calls(self._tcp), *_datagrams(self._udp)]


@contextmanager
def set_trap(folder: Path, clip: bytes) -> Iterator[Trap]:
    folder.mkdir(parents=True)
    (folder / "canary.mp4").write_bytes(clip)
    (folder / "canary.txt").write_text("secret of somebody else")
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_NONBLOCK)
    wanted = OPENED | READ | WRITTEN | CHANGED
    assert libc.inotify_add_watch(watch, os.fsencode(folder), wanted) >= 0
    tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with tcp, udp:
        tcp.bind(("127.0.0.1", 0))
        port = tcp.getsockname()[1]
        udp.bind(("127.0.0.1", port))
        tcp.listen(64)
        tcp.setblocking(False)
        udp.setblocking(False)
        try:
            yield Trap(folder, port, watch, tcp, udp)
        finally:
            os.close(watch)


def _events(watch: int) -> Iterator[str]:
    try:
        content = os.read(watch, 2**16)
    except BlockingIOError:
        return
    place = 0
    while place < len(content):
        _, mask, _, length = EVENT.unpack_from(content, place)
        name = content[place + EVENT.size : place + EVENT.size + length].rstrip(b"\0")
        yield f"event {mask:#x} on {name.decode()!r}"
        place += EVENT.size + length


def _calls(tcp: socket.socket) -> Iterator[str]:
    while True:
        try:
            connection, address = tcp.accept()
        except BlockingIOError:
            return
        with connection:
            yield f"a call from {address}"


def _datagrams(udp: socket.socket) -> Iterator[str]:
    while True:
        try:
            content, address = udp.recvfrom(2**16)
        except BlockingIOError:
            return
        yield f"{content[:80]!r} from {address}"
