"""The embedded database: one file, one writer, readers that never wait for it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from shipway.errors import ConfigurationError, ResourceError

Connection = sqlite3.Connection
StoreFault = sqlite3.Error
"""What the engine needs to name of the driver, so that only this room knows which one it is."""

#: The revision that this code reads and writes; ``migrate`` brings a database there.
REVISION = "0003"
_FULL = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC"}


class Database:
    """Opens connections that are durable at commit: WAL, ``synchronous=FULL``, foreign keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._local = threading.local()

    def writer(self) -> sqlite3.Connection:
        """A new connection for the one thread that writes; transactions are opened by hand."""
        connection = self._connect()
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        return connection

    def reader(self) -> sqlite3.Connection:
        """This thread's connection for reading."""
        connection: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
            self._local.reader = connection
        return connection

    def close(self) -> None:
        """Close this thread's reader."""
        connection: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if connection is not None:
            connection.close()
            self._local.reader = None

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(
                self.path, isolation_level=None, timeout=10.0, cached_statements=256
            )
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA busy_timeout=10000")
        except sqlite3.Error as error:
            raise trouble(error, self.path) from error
        connection.row_factory = sqlite3.Row
        return connection


def trouble(error: sqlite3.Error, path: Path) -> ResourceError | ConfigurationError:
    """What a person can do about an error of the database."""
    name = getattr(error, "sqlite_errorname", "")
    if name in _FULL:
        return ResourceError(
            "the disk with the state directory is full",
            hint=f"free space where {path.parent} is; the run goes on with the next command",
        )
    if name in {"SQLITE_CORRUPT", "SQLITE_NOTADB"}:
        return ConfigurationError(
            f"{path} is not a sound database",
            hint="restore it from a backup, or move it away to start with an empty one",
        )
    return ResourceError(
        f"the database cannot be used: {name or type(error).__name__}",
        hint=f"check that {path.parent} exists and may be written",
    )


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of it or nothing; taken for writing at once, so that it never has to upgrade."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def revision(path: Path) -> str | None:
    """The revision of the database at ``path``, or None when it has none yet."""
    if not path.exists():
        return None
    with contextlib.closing(sqlite3.connect(path, timeout=10.0)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError as error:
            raise trouble(error, path) from error
    return row[0] if row else None


def prepare(path: Path) -> Database:
    """The database at ``path``, migrated if needed; raises ConfigurationError if it is newer."""
    if revision(path) != REVISION:
        # Imported here: alembic and SQLAlchemy cost half a second, once a release.
        from shipway.store.migrate import migrate

        migrate(path)
    return Database(path)
