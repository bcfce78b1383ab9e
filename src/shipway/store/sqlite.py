"""The embedded database: one file, one writer, readers that never wait for it."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any, Literal

from shipway.errors import ConfigurationError, ResourceError, ShipwayError
from shipway.store.bell import Bell
from shipway.store.database import Connection, Figures, StoreFault, told, transaction
from shipway.store.watch import Watch

BUSY_S = 10.0
#: The first that returns what an UPDATE has changed.
OLDEST = (3, 35)
_STRAYS = "PRAGMA foreign_key_check"
_NOTICED_WAIT = 0.001
_FULL = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC"}
_UNSOUND = {"SQLITE_CORRUPT", "SQLITE_NOTADB"}
_BUSY = {"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_BUSY_SNAPSHOT", "SQLITE_BUSY_TIMEOUT"}


_ALONE = nullcontext()


class SqliteConnection(sqlite3.Connection):
    """The driver's own connection with what the shape asks for beside it."""

    path: Path
    watch: Watch
    bell: Bell
    rung: set[str]
    shared = False

    @property
    def raw(self) -> sqlite3.Connection:
        return self

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> sqlite3.Cursor:  # type: ignore[override]  # sequences only: named parameters are not the other driver's
        began = time.perf_counter()
        cursor = super().execute(sql, parameters)
        took = time.perf_counter() - began
        self.watch.statements += 1
        if took > self.watch.slow_after:
            self.watch.was_slow(took)
        return cursor

    def executemany(self, sql: str, rows: Iterable[Any], /) -> sqlite3.Cursor:
        began = time.perf_counter()
        cursor = super().executemany(sql, rows)
        self._noted(time.perf_counter() - began)
        return cursor

    def _noted(self, took: float) -> None:
        self.watch.statements += 1
        if took > self.watch.slow_after:
            self.watch.was_slow(took)

    def begin(self) -> None:
        """Taken for writing at once, so that it never has to upgrade."""
        began = time.perf_counter()
        super().execute("BEGIN IMMEDIATE")
        took = time.perf_counter() - began
        if took > _NOTICED_WAIT:
            self.watch.waited_for(took)

    def together(self) -> AbstractContextManager[Any]:
        return _ALONE

    def lock_runs(self, runs: Iterable[str]) -> dict[str, int] | None:
        """Nobody else: the write lock is taken, and one engine owns the file."""
        return None

    def take_turns(self, what: int) -> None:
        """Nothing: who may write is alone."""

    def next_run_numbers(self, count: int) -> list[int]:
        last: int = self.execute("SELECT coalesce(max(number), 0) FROM runs").fetchone()[0]
        return list(range(last + 1, last + 1 + count))

    def horizon(self) -> int | None:
        """Transactions that write come one after another, and so do positions."""
        return None

    def change_mark(self) -> object:
        return self.execute("PRAGMA data_version").fetchone()[0]

    def was_committed(self) -> bool:
        raise AssertionError("a file is never in doubt")

    def damage(self) -> list[str]:
        pages = [str(row[0]) for row in self.execute("PRAGMA quick_check(5)")]
        strays = [f"a row of {row[0]} without its {row[2]}" for row in self.execute(_STRAYS)]
        return [line for line in pages if line != "ok"] + strays[:5]

    def set_sequences(self) -> None:
        """Nothing to do: the next number is one more than the highest."""

    def is_fault(self, error: BaseException) -> bool:
        return isinstance(error, sqlite3.Error)

    def fault(self, error: BaseException) -> StoreFault:
        return fault(error, self.path)


class SqliteDatabase:
    """Opens connections that are durable at commit: WAL, ``synchronous=FULL``, foreign keys."""

    kind: Literal["sqlite"] = "sqlite"

    def __init__(self, path: Path, slow_after: float = 0.25) -> None:
        self.path = path
        self.name = f"SQLite, {path}"
        self._local = threading.local()
        self.bell = Bell()
        self._watch = Watch(slow_after)
        self._readers: list[SqliteConnection] = []
        self._writers: list[SqliteConnection] = []
        self._lock = threading.Lock()

    def release(self) -> tuple[str, bool]:
        return f"SQLite {sqlite3.sqlite_version}", sqlite3.sqlite_version_info >= OLDEST

    @property
    def conninfo(self) -> str:
        return str(self.path)

    def writer(self) -> SqliteConnection:
        connection = self._connect()
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=4000")
        return connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """This thread's connection: the mark of changes is one that belongs to a connection."""
        connection: SqliteConnection | None = getattr(self._local, "reader", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only=ON")
            self._local.reader = connection
            with self._lock:
                self._readers.append(connection)
        with told(connection):
            yield connection

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        with closing(self._connect()) as connection, told(connection):
            connection.execute("PRAGMA query_only=ON")
            connection.execute("BEGIN")
            yield connection
            connection.rollback()

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection is opened for several times the price of a row: it is kept for the next one."""
        try:
            connection = self._writers.pop()
        except IndexError:
            connection = self.writer()
        try:
            with told(connection), transaction(connection):
                yield connection
        except BaseException:
            connection.close()
            raise
        self._writers.append(connection)

    def revision(self) -> str | None:
        return revision(self.path)

    def lookout(self) -> SqliteDatabase:
        """A file has no server that could be away: it is read as by everybody else."""
        return self

    def figures(self) -> Figures:
        watch = self._watch
        return Figures(
            kind=self.kind,
            limit=0,
            open=len(self._readers) + len(self._writers),
            idle=len(self._writers),
            waiting=0,
            waits=watch.waits,
            waited_s=watch.waited,
            timeouts=watch.timeouts,
            lost=watch.lost,
            statements=watch.statements,
            slow=watch.slow,
        )

    def close(self) -> None:
        """Close the connections of all threads, which must be done with them."""
        with self._lock:
            connections, self._readers = self._readers, []
            while self._writers:
                connections.append(self._writers.pop())
        for connection in connections:
            connection.close()
        self._local = threading.local()

    def _connect(self) -> SqliteConnection:
        try:
            connection = sqlite3.connect(
                self.path,
                isolation_level=None,
                timeout=BUSY_S,
                cached_statements=256,
                factory=SqliteConnection,
                check_same_thread=False,  # each is used by one thread, and closed by another one
            )
            connection.path, connection.watch = self.path, self._watch
            connection.bell, connection.rung = self.bell, set()
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA busy_timeout={int(BUSY_S * 1000)}")
        except sqlite3.Error as error:
            raise fault(error, self.path) from error
        return connection


def fault(error: BaseException, path: Path) -> StoreFault:
    """What can be done about an error of the driver, by us and by a person."""
    name = str(getattr(error, "sqlite_errorname", None) or type(error).__name__)
    return StoreFault(_problem(name, path), again=name in _BUSY)


def _problem(name: str, path: Path) -> ShipwayError:
    if name in _FULL:
        return ResourceError(
            "the disk with the state directory is full",
            hint=f"free space where {path.parent} is; the run goes on with the next command",
        )
    if name in _UNSOUND:
        return ConfigurationError(
            f"{path} is not a sound database",
            hint='restore a backup with "shipway db restore", or move it away to start anew',
        )
    return ResourceError(
        f"the database cannot be used: {name}",
        hint=f"check that {path.parent} exists and may be written",
    )


def revision(path: Path) -> str | None:
    """The revision of the database at ``path``, or None when it has none yet."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path, timeout=BUSY_S)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorname == "SQLITE_ERROR":  # there is no such table
                return None
            raise fault(error, path) from error
        except sqlite3.DatabaseError as error:
            raise fault(error, path) from error
    return row[0] if row else None
