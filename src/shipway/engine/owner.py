"""One engine per state directory, and one state directory per database that no fleet shares."""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from shipway.errors import ConfigurationError
from shipway.store import fleet
from shipway.store.database import Database


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


def mark(home: Path) -> str:
    """What tells one state directory from another, wherever it is mounted."""
    path = home / "fleet-mark"
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(16))
        file.flush()
        os.fsync(file.fileno())
    return path.read_text().strip()


def refuse_shared(database: Database, home: Path) -> None:
    """Raises ConfigurationError when others carry the runs of a database, too.

    An engine without a fleet takes every order that it did not hand out itself for lost.
    """
    ours = f"alone {mark(home)}"
    with database.writing() as connection:
        known = fleet.home(connection, ours)
    if known != ours:
        raise ConfigurationError(
            "the runs of this database are carried by others: an engine without a fleet must have"
            " its database for itself",
            hint="let a fleet carry them: shipway serve and shipway worker, with one SHIPWAY_HOME",
        )
