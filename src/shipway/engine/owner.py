"""One engine per state directory: the file lock that makes it so, and the doorbell to wake it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import socket
import struct
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

_LONGEST_SOCKET_PATH = 100


class Ownership:
    """The exclusive lock on a state directory; the system releases it when its process dies.

    An open file description lock (fcntl(2), F_OFD_SETLK): whether it is held can be asked without
    taking it, so that looking never gets in the way of an engine that starts.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free; the file then names the process."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._path.open("a+")
        try:
            fcntl.fcntl(file, fcntl.F_OFD_SETLK, _whole_file())
        except (BlockingIOError, PermissionError):
            file.close()
            return False
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return True

    def fileno(self) -> int:
        """The descriptor that holds the lock; a process that inherits it holds it too."""
        assert self._file is not None  # noqa: S101 - only asked of a lock that is held
        return self._file.fileno()

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def is_owned(path: Path) -> bool:
    """Whether some process holds the lock now."""
    try:
        with path.open("a+") as file:
            found = fcntl.fcntl(file, fcntl.F_OFD_GETLK, _whole_file())
    except FileNotFoundError:
        return False
    kind: int = struct.unpack(_FLOCK, found)[0]
    return kind != fcntl.F_UNLCK


#: ``struct flock``: type, whence, start, length, pid.
_FLOCK = "hhqqi4x"


def _whole_file() -> bytes:
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def owner_pid(path: Path) -> int | None:
    """The process that holds the lock, as the lock file says."""
    if not is_owned(path):
        return None
    text = path.read_text().strip()
    return int(text) if text.isdigit() else None


def doorbell_path(home: Path) -> Path:
    """Where the owner listens; a long state directory gets a short stand-in (sockets allow ~100)."""
    path = home / "engine.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
        return path
    digest = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"shipway-{os.getuid()}-{digest}.sock"


def listen(home: Path) -> socket.socket:
    """The owner's end of the doorbell; a stale socket of a dead owner is replaced."""
    path = doorbell_path(home)
    path.unlink(missing_ok=True)
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    old = os.umask(0o177)
    try:
        bell.bind(str(path))
    finally:
        os.umask(old)
    return bell


def ring(home: Path) -> None:
    """Tell the owner, if there is one, that there is something new in the database."""
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as bell,
    ):
        bell.sendto(b"!", str(doorbell_path(home)))
