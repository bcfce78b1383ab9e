"""The doorbell of one machine: datagrams between the processes that share a state directory."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

from shipway.bus.doorbell import LONGEST, Listener, Ring

_LONGEST_PATH = 80
_BUFFER = 1 << 18


class LocalBus:
    """Every process that listens has a socket in one directory; who rings writes to all of them."""

    def __init__(self, home: Path) -> None:
        self._folder = bells(home)
        self._listeners: list[Listener] = []
        self._socket: socket.socket | None = None
        self._path = self._folder / f"{os.getpid()}-{id(self):x}"

    async def open(self) -> None:
        """Raises OSError when the directory cannot be used: it is our own."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._socket = bell(self._path)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._heard)

    async def close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._path.unlink(missing_ok=True)
            self._socket = None

    def listener(self, *topics: str) -> Listener:
        made = Listener(frozenset(topics), self._listeners.remove)
        self._listeners.append(made)
        return made

    async def ring(self, *rings: Ring) -> bool:
        return send(self._folder, rings)

    def _heard(self) -> None:
        assert self._socket is not None  # noqa: S101 - the reader exists only while the bell does
        for ring in heard(self._socket):
            for listener in self._listeners:
                listener.hear(ring)


def bells(home: Path) -> Path:
    """Where the bells of a state directory hang; a long one gets a stand-in (paths are ~100 bytes)."""
    folder = home / "bells"
    if len(os.fsencode(folder)) <= _LONGEST_PATH:
        return folder
    digest = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"shipway-{os.getuid()}-{digest}"


def bell(path: Path) -> socket.socket:
    """A bell to be rung at ``path``; what a dead process left there is replaced."""
    path.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    old = os.umask(0o177)
    try:
        made.bind(str(path))
    finally:
        os.umask(old)
    return made


def heard(bell: socket.socket) -> list[Ring]:
    """Everything that rang there since."""
    rings = []
    with contextlib.suppress(BlockingIOError):
        while True:
            topic, _, data = bell.recv(LONGEST + 256).partition(b"\0")
            rings.append(Ring(topic.decode(errors="replace"), data))
    return rings


def send(folder: Path, rings: Iterable[Ring]) -> bool:
    """Ring every bell in a directory; those of dead processes are taken down."""
    packets = [ring.topic.encode() + b"\0" + ring.data[:LONGEST] for ring in rings]
    told = False
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        for path in _hanging(folder):
            told |= _reached(sender, path, packets)
    return told


def _hanging(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _reached(sender: socket.socket, path: Path, packets: list[bytes]) -> bool:
    """Whether the process at ``path`` has something to read now."""
    for packet in packets:
        try:
            sender.sendto(packet, str(path))
        except BlockingIOError:
            return True  # it is full: its owner is about to look anyway
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return False
        except OSError:
            return False
    return True
